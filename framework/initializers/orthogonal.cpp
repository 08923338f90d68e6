#include "initializers/orthogonal.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace backplane {

namespace {

/// Takes from `vector` its parts along the unit vectors before it, and makes it one of them.
void orthonormalize(std::span<double> vector, std::span<const double> before) {
  const std::size_t n = vector.size();
  for (int pass = 0; pass < 2; ++pass)
    for (std::size_t begin = 0; begin < before.size(); begin += n) {
      const std::span<const double> unit = before.subspan(begin, n);
      const double along = std::inner_product(vector.begin(), vector.end(), unit.begin(), 0.0);
      for (std::size_t i = 0; i < n; ++i) vector[i] -= along * unit[i];
    }
  const double norm = std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0));
  for (double& value : vector) value /= norm;
}

}  // namespace

std::vector<double> orthogonal(const Shape& shape, double gain, const Stream& stream) {
  const std::int64_t count = element_count(shape);
  const std::int64_t rows = shape.empty() ? 1 : shape[0], columns = count / rows;
  const auto length = static_cast<std::size_t>(std::max(rows, columns));
  std::vector<double> vectors(static_cast<std::size_t>(count));  // the fewer and longer ones: rows, or columns
  for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] = stream.normal(i);
  for (std::size_t begin = 0; begin < vectors.size(); begin += length)
    orthonormalize(std::span(vectors).subspan(begin, length), std::span(vectors).first(begin));

  std::vector<double> values(vectors.size());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      values[static_cast<std::size_t>(r * columns + c)] =
          gain * vectors[static_cast<std::size_t>(rows <= columns ? r * columns + c : c * rows + r)];
  return values;
}

}  // namespace backplane
