#pragma once

#include <backplane/plugin.hpp>

/// Dense (fully connected):  z = a·Wᵀ + b
///
///   a  (N, I)  input          W  (O, I)  weights: row o feeds output o
///   z  (N, O)  output         b  (O)     bias
///   δ  (N, O)  ∂C/∂z, given
///
///   backward   ∂C/∂a = δ·W  (written)     ∂C/∂W = δᵀ·a     ∂C/∂b = Σₙ δₙ  (written)
///   needs      a
///   packed   where a sample has many rows, Wᵀ (I, O), padded: the kernels read it without repacking, which is done
///              once a step instead of once a slice; W itself, padded, where its rows would be a multiple of 2 KiB
///              apart and O ≤ 384
///   source     Rumelhart, Hinton, Williams 1986
///
/// The input may have any shape. With `flatten` a sample is one row: I is the product of its extents. Without, the last
/// axis is: a (N, …, I) gives z (N, …, O), N counts positions in the formulas above, and all of them share W and b.
struct Dense {
  std::int64_t units = 1;
  bool bias = true;
  bool flatten = true;

  static void describe(bp::About<Dense>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void pack(const bp::Call<T>& call) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};
