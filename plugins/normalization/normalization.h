#pragma once

#include <backplane/plugin.hpp>

namespace normalization {

/// Batch normalisation:  z = γ ⊙ x̂ + β,   x̂ = (a − μ) / √(σ² + ε)
///
///   a  (N, …, F)  input      γ  `gamma` (F)  gain    μ, σ² (F)  mean and biased variance of each feature over all
///   z  (N, …, F)  output     β  `beta`  (F)  bias               n positions of the whole batch, as it is trained on
///   δ  (N, …, F)  ∂C/∂z, given
///
///   backward   ∂C/∂a = γ/√(σ² + ε) ⊙ (δ − (Σδ + x̂ ⊙ Σδx̂)/n)  (written)     ∂C/∂γ += Σ δx̂     ∂C/∂β += Σ δ
///   needs      a
///   sums       n, Σa and Σa² with twice the digits of float64, so that σ² is right wherever μ lies; Σδ and Σδx̂
///   state      running_mean m ← (1 − momentum)·m + momentum·μ, running_variance likewise with n/(n − 1)·σ², as PyTorch
///              has it. Evaluation normalises by them, not by μ and σ².
///   lengths    steps past a sample's length are not counted; z and ∂C/∂a are 0 there
///   source     Ioffe, Szegedy 2015
struct BatchNorm {
  double epsilon = 1e-5;
  double momentum = 0.1;

  static void describe(bp::About<BatchNorm>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void collect_forward(const bp::Call<T>& call) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void collect_backward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
  template <class T>
  void update_state(const bp::Call<T>& call) const;

 private:
  template <class T>
  struct Moments;
  /// What x̂ is made with in this call; throws where there is one value per feature only.
  template <class T>
  Moments<T> moments(const bp::Call<T>& call) const;
};

/// Layer normalisation:  z = γ ⊙ x̂ + β,   x̂ = (a − μ) / √(σ² + ε)
///
///   a  (N, …, F)  input      γ  `gamma` (F)  gain    μ, σ²  mean and biased variance over the F features of each
///   z  (N, …, F)  output     β  `beta`  (F)  bias           position by itself
///   δ  (N, …, F)  ∂C/∂z, given
///
///   backward   with g = γ ⊙ δ:  ∂C/∂a = (g − mean(g) − x̂·mean(g ⊙ x̂)) / √(σ² + ε)  (written)
///              ∂C/∂γ += Σ δx̂     ∂C/∂β += Σ δ
///   needs      a
///   source     Ba, Kiros, Hinton 2016
struct LayerNorm {
  double epsilon = 1e-5;

  static void describe(bp::About<LayerNorm>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

}  // namespace normalization
