#include "inspect/statistics.h"

#include <algorithm>
#include <cmath>

namespace backplane {

double Statistics::norm() const {
  return std::sqrt(squares);
}

double Statistics::standard_deviation() const {
  return finite() == 0 ? 0.0 : std::sqrt(deviations / static_cast<double>(finite()));
}

double Statistics::share_of_zeros() const {
  return count == 0 ? 0.0 : static_cast<double>(zeros) / static_cast<double>(count);
}

void Statistics::add(const Buffer& piece, DType dtype, std::int64_t elements) {
  const auto before = static_cast<double>(finite());
  double sum = 0.0;
  std::int64_t finite_here = 0;
  for (std::int64_t i = 0; i < elements; ++i) {
    const double value = element(piece, dtype, i);
    if (!std::isfinite(value)) {
      ++(std::isnan(value) ? nans : infinities);
      continue;
    }
    ++finite_here;
    low = std::min(low, value), high = std::max(high, value);
    sum += value, squares += value * value, zeros += value == 0.0;
  }
  count += elements;
  if (finite_here == 0) return;
  const auto here = static_cast<double>(finite_here);
  const double mean_here = sum / here;
  for (std::int64_t i = 0; i < elements; ++i)
    if (const double value = element(piece, dtype, i); std::isfinite(value))
      deviations += (value - mean_here) * (value - mean_here);
  const double apart = mean_here - mean;
  deviations += apart * apart * before * here / (before + here);
  mean += apart * here / (before + here);
}

Statistics statistics_of(const TensorFile& file, const FileTensor& tensor, std::size_t record) {
  Statistics statistics;
  TensorFile::for_each_piece(tensor, [&](const TensorFile::Piece& piece) {
    statistics.add(file.read(tensor, record, piece), tensor.dtype, piece.count);
  });
  return statistics;
}

}  // namespace backplane
