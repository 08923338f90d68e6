#pragma once

#include <cstdint>

namespace backplane {

/// −Σ q ln p with p = softmax(z), of `count` numbers each; where `gradient` is not nullptr, also
/// gradient = scale · (p Σq − q). Σq is 1 for labels, and kept for targets that are no distribution. Sums and
/// exponentials are of float64.
template <class T>
double softmax_cross_entropy(const T* z, const T* q, std::int64_t count, double scale, T* gradient);

/// The first index of the largest of `count` ≥ 1 values; any where some are NaN.
template <class T>
std::int64_t index_of_largest(const T* values, std::int64_t count);

}  // namespace backplane
