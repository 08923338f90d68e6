#pragma once

#include <backplane/plugin.hpp>

/// Arithmetic on tensors of one shape, element by element.
namespace elementwise {

/// Add:  z = Σₖ aₖ
///
///   aₖ  (N, …)  2 to 64 inputs of one shape      z  (N, …)  output
///
///   backward   ∂C/∂aₖ = δ  (written)
struct Add {
  static void describe(bp::About<Add>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Multiply:  z = Πₖ aₖ
///
///   aₖ  (N, …)  2 to 64 inputs of one shape      z  (N, …)  output
///
///   backward   ∂C/∂aₖ = δ ⊙ Π aⱼ, j ≠ k  (written; as a product and not as z/aₖ, which is wrong where aₖ is 0)
///   needs      a
struct Multiply {
  static void describe(bp::About<Multiply>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Scale:  z = initial · γ ⊙ a + β, one trainable factor for each feature
///
///   a  (N, …, F)  input      γ  `gamma` (F)  gain, 1 at the start
///   z  (N, …, F)  output     β  `beta`  (F)  bias, where asked for
///
///   backward   ∂C/∂a = initial · γ ⊙ δ  (written)     ∂C/∂γ += initial · Σ a ⊙ δ     ∂C/∂β += Σ δ
///   needs      a
struct Scale {
  double initial = 1.0;
  bool bias = false;

  static void describe(bp::About<Scale>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

}  // namespace elementwise
