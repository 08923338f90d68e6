#pragma once

#include <backplane/plugin.hpp>

namespace embedding {

/// Embedding:  z = W[a], a row of W for each index
///
///   a  (N, …)     indices: whole numbers in [0, V), held in the layer's element type
///   z  (N, …, E)  output          W  (V, E)  rows, V the `vocabulary`, E `units`; standard normal at the start
///
///   backward   ∂C/∂W[v] += Σ δ over the places that hold v, batch-wide: rows of W take their δ in the order of samples
///              ∂C/∂a = 0  (written: an index has no slope)
///   needs      a
///   lengths    steps past a sample's length are not looked at; z is 0 there
///   source     Bengio, Ducharme, Vincent, Jauvin 2003
struct Embedding {
  std::int64_t vocabulary = 1;
  std::int64_t units = 1;

  static void describe(bp::About<Embedding>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

/// Learned positions:  z[t] = a[t] + P[t]
///
///   a  (N, T, …, E)  input       P  (T, …, E)  what is added to each position, the same for all samples
///   z  (N, T, …, E)  output
///
///   backward   ∂C/∂a = δ  (written)     ∂C/∂P += Σₙ δₙ, batch-wide over ranges of T
///   source     Gehring, Auli, Grangier, Yarats, Dauphin 2017
struct PositionEmbedding {
  static void describe(bp::About<PositionEmbedding>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
};

}  // namespace embedding
