#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/table.h"
#include "hdf5/handle.h"

namespace backplane {

/// `path`: without links that lead out of the file.
h5::Handle open_dataset(const h5::Handle& file, const std::string& path);

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

/// The elements as the file holds them, in the order of a table: what a double or an int64 takes for another number of
/// more than 53 bits, or beyond them, shows itself here. Takes 16 bytes for each.
std::vector<long double> exact_values(const h5::Handle& dataset);

/// What of a data set was never written, and what HDF5 gives for it. Its extents are such as fit into memory.
Unwritten unwritten_in(const h5::Handle& dataset);

/// An attribute that is a single text; "" where it is something else. None where it does not exist.
std::optional<std::string> text_attribute(const h5::Handle& dataset, const char* name);

/// MATLAB's name of the class of a data set that it wrote: "double". Empty for other writers.
std::string matlab_class(const h5::Handle& dataset);

/// The values with their axes the other way round: what MATLAB calls an array's first axis, HDF5 calls its last.
template <class T>
void reverse_axes(Shape& dims, std::vector<T>& values) {
  const std::vector<T> before = std::move(values);
  values.clear();
  values.reserve(before.size());
  const std::size_t rank = dims.size();
  std::vector<std::size_t> strides(rank, 1);  // of the axes as they stand in `before`
  for (std::size_t axis = rank - 1; axis > 0; --axis)
    strides[axis - 1] = strides[axis] * static_cast<std::size_t>(dims[axis]);
  std::vector<std::int64_t> place(rank, 0);
  for (std::size_t at = 0; values.size() < before.size();) {
    values.push_back(before[at]);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      at += strides[axis];
      if (++place[axis] < dims[axis]) break;
      at -= strides[axis] * static_cast<std::size_t>(dims[axis]);
      place[axis] = 0;
    }
  }
  std::ranges::reverse(dims);
}

}  // namespace backplane
