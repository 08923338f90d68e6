#pragma once

#include <string>

#include "data/table.h"
#include "hdf5/handle.h"

namespace backplane {

/// Refuses what netCDF's conventions mean by attributes of the data set at `path` as missing: values that equal
/// _FillValue or missing_value, that valid_range, valid_min or valid_max exclude, or that no program ever wrote
/// (netCDF's default fill value in its own files, but for bytes). Throws by `origin` (bad_data) at the first one. In
/// `padding` they are let through, as NaN, or as 0 among whole numbers. `table` holds the numbers as they are stored.
void refuse_missing_values(const h5::Handle& file, const std::string& path, const Origin& origin,
                           const Padding& padding, Table& table);

/// Packed numbers (scale_factor, add_offset) become stored · factor + offset, in float64. Throws by `origin` (bad_data)
/// where labels, lengths or the sign of numbers would have to be reinterpreted, or where a number outside `padding`
/// leaves float64.
void unpack_numbers(const h5::Handle& file, const std::string& path, const Origin& origin, const Padding& padding,
                    Table& table);

}  // namespace backplane
