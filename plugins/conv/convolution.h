#pragma once

#include "conv/geometry.h"

namespace conv {

/// Convolution of images:  z = W ∗ a + b
///
///   a  (N, H, W, I)    input            W  (O, I/groups, KH, KW)  weights, in PyTorch's order
///   z  (N, H', W', O)  output           b  (O)                    bias
///   δ  (N, H', W', O)  ∂C/∂z, given
///
///   z[n, y, x, o] = b[o] + Σ W[o, i, ky, kx] · a[n, y·stride + ky·dilation − padding, x·stride + …, i]
///
///   backward   ∂C/∂a = Σ W·δ over the windows that see a place (written)     ∂C/∂W += Σ δ·a     ∂C/∂b += Σ δ
///   needs      a
///   packed   W in the orders that the kernels of both directions like, made once per step instead of once per slice
///   source     Fukushima 1980; LeCun, Boser, Denker, … 1989
struct Conv2d {
  std::int64_t filters = 1;
  bp::Dims kernel = {1};
  bp::Dims stride = {1};
  bp::Dims dilation = {1};
  std::string padding = "valid";
  std::int64_t groups = 1;
  bool bias = true;

  static void describe(bp::About<Conv2d>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void pack(const bp::Call<T>& call) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Convolution of sequences:  z = W ∗ a + b
///
///   a  (N, T, I)    input            W  (O, I/groups, K)  weights, in PyTorch's order
///   z  (N, T', O)   output           b  (O)               bias
///
///   Conv2d of images of height 1. padding: causal puts all of it ahead, so that z[t] sees nothing after a[t].
///   source     Waibel, Hanazawa, Hinton, Shikano, Lang 1989
struct Conv1d {
  std::int64_t filters = 1;
  bp::Dims kernel = {1};
  bp::Dims stride = {1};
  bp::Dims dilation = {1};
  std::string padding = "valid";
  std::int64_t groups = 1;
  bool bias = true;

  static void describe(bp::About<Conv1d>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void pack(const bp::Call<T>& call) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Transposed convolution, which makes images larger:  z = Wᵀ ∗ a + b
///
///   a  (N, H, W, I)    input            W  (I, O/groups, KH, KW)  weights, in PyTorch's order
///   z  (N, H', W', O)  output           b  (O)                    bias
///
///   H' = (H − 1)·stride − 2·padding + dilation·(KH − 1) + output_padding + 1
///
///   A Conv2d from images like z to images like a with its directions exchanged: forward is that one's ∂C/∂a of `a`,
///   backward its forward of δ, and its δ and a change places in ∂C/∂W.
///   needs      a
///   source     Zeiler, Krishnan, Taylor, Fergus 2010
struct ConvTranspose2d {
  std::int64_t filters = 1;
  bp::Dims kernel = {1};
  bp::Dims stride = {1};
  bp::Dims dilation = {1};
  std::string padding = "valid";
  bp::Dims output_padding = {0};
  std::int64_t groups = 1;
  bool bias = true;

  static void describe(bp::About<ConvTranspose2d>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void pack(const bp::Call<T>& call) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

}  // namespace conv
