#pragma once

#include <backplane/plugin.hpp>

/// Layers that move numbers and change none. Each copies: a layer's z is its own.
namespace shape {

/// Flatten:  z is a as one row
///
///   a  (N, …)  input      z  (N, F)  output, F the product of the extents
///
///   backward   ∂C/∂a = δ  (written)
struct Flatten {
  static void describe(bp::About<Flatten>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Reshape:  z is a with the extents of `shape`, which leave the batch axis out; one of them may be −1, whatever is
/// left
///
///   a  (N, …)  input      z  (N, shape…)  output, as many elements in the same order
///
///   backward   ∂C/∂a = δ  (written)
struct Reshape {
  bp::Dims shape = {-1};

  static void describe(bp::About<Reshape>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Zero padding:  z is a, with zeros around it
///
///   a  (N, T, F) or (N, H, W, C)  input      z  (N, before + T + after, F), …  output
///
///   padding    one number for all sides; one for each axis; or before and after each axis: [before, after] of time,
///              [top, bottom, left, right] of images. The last axis, of features, is never padded.
///   backward   ∂C/∂a = δ without its border  (written)
struct ZeroPad {
  bp::Dims padding = {1};

  static void describe(bp::About<ZeroPad>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;

 private:
  /// Zeros before and after each of `axes` axes.
  struct Border {
    std::int64_t before, after;
  };
  Border border(std::size_t axis, std::size_t axes) const;
};

/// Concatenation:  z is a₁, a₂, … behind one another along `axis`
///
///   aₖ  (N, …, Fₖ)  2 to 64 inputs that differ on that axis only      z  (N, …, Σ Fₖ)  output
///
///   axis       counts a sample's axes from 0, or from the last one backwards: −1 is the last
///   backward   ∂C/∂aₖ = its part of δ  (written)
struct Concat {
  std::int64_t axis = -1;

  static void describe(bp::About<Concat>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

}  // namespace shape
