#pragma once

#include <cstdint>

#include "base/multiversion.h"

/// Plain loops that many layers share. No result depends on the order of a vector's lanes.
namespace backplane::kernels {

/// to[i] += from[i]
template <class T>
BP_MULTIVERSION void add_to(std::int64_t count, const T* from, T* __restrict to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}

/// to[c] += Σ from[r·leading + c] over rows r in [0, rows), in their order: the gradient of a bias.
template <class T>
BP_MULTIVERSION void add_rows(std::int64_t rows, std::int64_t columns, const T* from, std::int64_t leading,
                              T* __restrict to) {
  for (std::int64_t r = 0; r < rows; ++r, from += leading)
    for (std::int64_t c = 0; c < columns; ++c) to[c] += from[c];
}

/// to[r, c] += from[c] for each of `rows` rows: a bias.
template <class T>
BP_MULTIVERSION void add_to_rows(std::int64_t rows, std::int64_t columns, const T* from, T* __restrict to) {
  for (std::int64_t r = 0; r < rows; ++r, to += columns)
    for (std::int64_t c = 0; c < columns; ++c) to[c] += from[c];
}

/// z[i] = a[i] + b[i]; z may be a or b.
template <class T>
BP_MULTIVERSION void add(std::int64_t count, const T* a, const T* b, T* z) {
  for (std::int64_t i = 0; i < count; ++i) z[i] = a[i] + b[i];
}

/// z[i] = a[i]·b[i]; z may be a or b.
template <class T>
BP_MULTIVERSION void multiply(std::int64_t count, const T* a, const T* b, T* z) {
  for (std::int64_t i = 0; i < count; ++i) z[i] = a[i] * b[i];
}

}  // namespace backplane::kernels
