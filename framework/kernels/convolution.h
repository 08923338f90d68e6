#pragma once

#include <compare>
#include <cstdint>

namespace backplane::kernels {

/// One axis of a convolution: `out` windows of `kernel` taps that are `dilation` apart, a step of `stride` from window
/// to window, over `in` places with `before` zeros ahead of them and `after` behind.
///
///   tap k of window o lies at   o·stride + k·dilation − before
///   out = (before + in + after − extent) / stride + 1, rounded down
struct Axis {
  std::int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;

  /// Places from the first tap to the last.
  std::int64_t extent() const { return dilation * (kernel - 1) + 1; }
  /// The place of a tap; outside [0, in) lies the padding.
  std::int64_t place(std::int64_t window, std::int64_t tap) const { return window * stride + tap * dilation - before; }
  auto operator<=>(const Axis&) const = default;
};

/// Everything about a convolution but the number of samples.
///
///   a  (N, H, W, I)          input, channels last
///   W  (O, I/groups, KH, KW) weights; output channels of group g see input channels of group g only
///   b  (O)                   bias
///   z  (N, H', W', O)        z[n, y, x, o] = b[o] + Σ W[o, i, ky, kx] · a[n, place of (y, ky), place of (x, kx), i]
struct Convolution {
  std::int64_t inputs = 1, outputs = 1, groups = 1;
  Axis height, width;

  std::int64_t input_pixels() const { return height.in * width.in; }
  std::int64_t output_pixels() const { return height.out * width.out; }
  std::int64_t taps() const { return height.kernel * width.kernel; }
  std::int64_t group_inputs() const { return inputs / groups; }
  std::int64_t group_outputs() const { return outputs / groups; }
  /// Elements of W.
  std::int64_t weights() const { return outputs * group_inputs() * taps(); }
  auto operator<=>(const Convolution&) const = default;
};

/// The kernels. float: oneDNN, on blocked weights (primitives cached per thread).  double: rows of taps (im2col) and
/// BLIS, sample by sample.
///
/// One thread, no locks in a steady state; the result is a function of the operands and sizes alone. `packed` is W in
/// the order that the kernels like, written by convolution_pack; many calls may read it at once. `workspace` is
/// uninitialised memory of convolution_workspace_bytes, 64-byte aligned, that belongs to the call. [any thread]
template <class T>
std::int64_t convolution_packed_elements(const Convolution& shape);
template <class T>
std::uint64_t convolution_workspace_bytes(const Convolution& shape);
template <class T>
void convolution_pack(const Convolution& shape, const T* W, T* packed);

/// z is written; b may be NULL.
template <class T>
void convolution_forward(const Convolution& shape, std::int64_t samples, const T* a, const T* packed, const T* b, T* z,
                         void* workspace);
/// ∂C/∂a = Σ W·δ over the windows that see a place. Written.
template <class T>
void convolution_backward_inputs(const Convolution& shape, std::int64_t samples, const T* delta, const T* packed,
                                 T* d_a, void* workspace);
/// ∂C/∂W += Σ δ·a over samples and windows, ∂C/∂b += Σ δ. Added, in the order of W; d_b may be NULL.
template <class T>
void convolution_backward_weights(const Convolution& shape, std::int64_t samples, const T* a, const T* delta, T* d_W,
                                  T* d_b, void* workspace);
/// ∂C/∂b += Σ δ alone, over samples and `pixels` of each, for O = `outputs`. Added.
template <class T>
void convolution_backward_bias(std::int64_t samples, std::int64_t pixels, std::int64_t outputs, const T* delta, T* d_b);

/// The same by the definition: plain loops, sums in double. Kept for tests, and to be read.
template <class T>
void convolution_forward_reference(const Convolution& shape, std::int64_t samples, const T* a, const T* W, const T* b,
                                   T* z);
template <class T>
void convolution_backward_inputs_reference(const Convolution& shape, std::int64_t samples, const T* delta, const T* W,
                                           T* d_a);
template <class T>
void convolution_backward_weights_reference(const Convolution& shape, std::int64_t samples, const T* a, const T* delta,
                                            T* d_W);

}  // namespace backplane::kernels
