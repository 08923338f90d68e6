#pragma once

#include <cstdint>
#include <limits>

#include "inspect/tensor_file.h"

namespace backplane {

/// Figures of a tensor, in float64. NaN and infinite elements are counted and left out of all else. Pieces are joined
/// as in Chan, Golub, LeVeque 1983, so that mean and deviation of many elements keep their digits.
struct Statistics {
  std::int64_t count = 0;  ///< all elements
  std::int64_t zeros = 0, nans = 0, infinities = 0;
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  double mean = 0.0;
  double squares = 0.0;     ///< sum of squares
  double deviations = 0.0;  ///< sum of squared differences from the mean

  std::int64_t finite() const { return count - nans - infinities; }
  double norm() const;
  double standard_deviation() const;  ///< of the elements as a whole population
  double share_of_zeros() const;

  void add(const Buffer& piece, DType dtype, std::int64_t elements);
};

/// Reads the tensor piece by piece.
Statistics statistics_of(const TensorFile& file, const FileTensor& tensor, std::size_t record);

}  // namespace backplane
