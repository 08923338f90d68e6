#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/convolution.h"

namespace conv {

using backplane::kernels::Axis;

/// Windows over an image (H, W, C), channel by channel; axes as in Convolution.
struct Pool {
  Axis height, width;
  std::int64_t channels = 1;

  std::int64_t input_size() const { return height.in * width.in * channels; }
  std::int64_t output_size() const { return height.out * width.out * channels; }
};

/// The kernels take one sample. What lies in the padding is not looked at. One thread; vectors as wide as the CPU has,
/// along the channels, so that no result depends on their width.

/// z = the maximum of each window, position = ky·KW + kx of the first one. NaN wins over every number.
template <class T>
void max_forward(const Pool& pool, const T* a, T* z, T* position);
/// ∂C/∂a: each window's δ to its position. Written.
template <class T>
void max_backward(const Pool& pool, const T* delta, const T* position, T* d_a);
/// z = the mean of each window; include_padding: of all its places, as if there were zeros in the padding.
template <class T>
void mean_forward(const Pool& pool, bool include_padding, const T* a, T* z);
/// ∂C/∂a: each window's δ in equal shares to its places. Written.
template <class T>
void mean_backward(const Pool& pool, bool include_padding, const T* delta, T* d_a);

}  // namespace conv
