#pragma once

#include <stdexcept>
#include <cstddef>
#include <string>
#include <string_view>

#include "exchange/tensor_view.h"
#include "exchange/weight_file.h"

namespace backplane {

/// NumPy's format of one array: "\x93NUMPY", version, length of the header, a Python dictionary with descr,
/// fortran_order and shape, then the numbers.

/// What stands before the numbers, a multiple of 64 bytes long.
std::string build_npy_header(const TensorView& tensor);

/// The longest header that is read.
constexpr std::size_t kMostNpyHeader = 1 << 16;

struct NpyHeader {
  WeightEntry entry;  ///< without name and `load`
  std::size_t header_bytes = 0;
  std::size_t data_bytes = 0;  ///< 0 of a type that is not known
};

/// Reads the beginning of a file: versions 1 to 3. Throws std::runtime_error, in words, where it is no header.
NpyHeader parse_npy_header(std::string_view begin);

}  // namespace backplane
