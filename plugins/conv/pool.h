#pragma once

#include "conv/geometry.h"

namespace conv {

/// Maximum of each window, channel by channel:  z = max a
///
///   a  (N, H, W, C)    input         z  (N, H', W', C)  output         δ  ∂C/∂z, given
///
///   backward   ∂C/∂a at the FIRST maximum of each window, in rows, gets the window's δ (written)
///   saved      position (N, H', W', C): ky·KW + kx of that maximum, so that backward needs no input
///   source     Riesenhuber, Poggio 1999
///
/// The padding never wins. NaN wins over every number, so that a divergence shows.
struct MaxPool2d {
  bp::Dims kernel = {2};
  bp::Dims stride;  // none: as the kernel
  std::string padding = "valid";

  static void describe(bp::About<MaxPool2d>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Mean of each window, channel by channel:  z = Σ a / count
///
///   a  (N, H, W, C)    input         z  (N, H', W', C)  output         δ  ∂C/∂z, given
///   count  KH·KW; without include_padding: the places of the window that lie inside the image
///
///   backward   ∂C/∂a = Σ δ / count over the windows that see a place (written)
///   source     LeCun, Boser, Denker, … 1989
struct AvgPool2d {
  bp::Dims kernel = {2};
  bp::Dims stride;  // none: as the kernel
  std::string padding = "valid";
  bool include_padding = true;

  static void describe(bp::About<AvgPool2d>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Mean over all places:  z = Σ a / P
///
///   a  (N, H, W, C) or (N, T, C)  input         z  (N, C)  output         P = H·W or T
///
///   Of a sequence with lengths, the valid steps are the places, and P their number.
///   backward   ∂C/∂a = δ / P at every place that counts, else 0 (written)
///   source     Lin, Chen, Yan 2013
struct GlobalAvgPool {
  static void describe(bp::About<GlobalAvgPool>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

}  // namespace conv
