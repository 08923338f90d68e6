#pragma once

#include <string>

#include "data/table.h"
#include "files/hdf5.h"

namespace backplane {

/// Numbers as netCDF's conventions mean them, which say so by attributes of the data set at `path`: packed ones
/// (scale_factor, add_offset) become stored · factor + offset, in float64. Throws by `origin` (bad_data) where one
/// equals _FillValue or missing_value, or where labels, lengths or the sign of numbers would have to be reinterpreted.
void apply_netcdf_attributes(const h5::Handle& file, const std::string& path, const Origin& origin, Table& table);

}  // namespace backplane
