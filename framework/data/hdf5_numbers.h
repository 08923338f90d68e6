#pragma once

#include <string>

#include "data/table.h"
#include "files/hdf5.h"

namespace backplane {

/// What the elements of a data set are read as.
enum class Hdf5Numbers {
  bytes,       ///< whole numbers from 0 to 255
  truths,      ///< 0 and 1
  whole,       ///< other whole numbers of at most 64 bits
  fractional,  ///< floating-point numbers; of more than 64 bits they are rounded
};

/// Throws by `origin`, with a remedy, where the elements are no numbers. `path` is the data set's name.
Hdf5Numbers numbers_in(const h5::Handle& dataset, const std::string& path, const Origin& origin);

/// Throws by `origin`, with a remedy, where the data set's values lie outside the file or need foreign code to be read.
void require_own_storage(const h5::Handle& dataset, const std::string& path, const Origin& origin);

/// Throws by `origin` where the data set has neither values nor one to fill it with.
void require_values(const h5::Handle& dataset, const std::string& path, const Origin& origin);

/// What of a data set was never written, and what HDF5 gives for it. Its extents are such as fit into memory.
Unwritten unwritten_in(const h5::Handle& dataset);

/// MATLAB's name of the class of a data set that it wrote: "double". Empty for other writers.
std::string matlab_class(const h5::Handle& dataset);

}  // namespace backplane
