#pragma once

#include <backplane/plugin.hpp>

/// Multi-head self-attention:  z = c·W_outᵀ + b_out,   c = A·v for each head,   A = softmax(q·kᵀ/√d) over keys
///
///   a  (N, T, E)  input      q, k, v  (N, T, E) each, side by side in `qkv`: a·W_qkvᵀ + b_qkv. A head has d = E/heads
///   z  (N, T, E)  output              columns of each
///   δ  (N, T, E)  given      W_qkv (3E, E), b_qkv (3E), W_out (E, E), b_out (E): PyTorch's in_proj_weight,
///   in_proj_bias,
///                            out_proj.weight and out_proj.bias of nn.MultiheadAttention
///
///   backward   ∂C/∂c = δ·W_out     ∂C/∂W_out += δᵀ·c     ∂C/∂b_out += Σ δ     and for each head, c being A·v:
///              ∂C/∂v = Aᵀ·∂C/∂c     D = ∂C/∂c·vᵀ     S = A ⊙ (D − Σⱼ Aⱼ Dⱼ)/√d     ∂C/∂q = S·k     ∂C/∂k = Sᵀ·q
///              ∂C/∂a = δ_qkv·W_qkv  (written)     ∂C/∂W_qkv += δ_qkvᵀ·a     ∂C/∂b_qkv += Σ δ_qkv
///   needs      a
///   saved      qkv (T, 3E), attention: A (heads, T, T), context: c (T, E); delta_qkv: ∂C/∂qkv (T, 3E), by backward
///   causal     a step sees itself and the steps before it only
///   lengths    keys past a sample's length get no weight; z, A and ∂C/∂a are 0 past it
///   source     Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin 2017
struct Attention {
  std::int64_t heads = 1;
  bool causal = false;
  bool bias = true;

  static void describe(bp::About<Attention>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;

 private:
  /// The first keys that step t of a sample of `length` steps sees; 0 past its length.
  std::int64_t keys(std::int64_t t, std::int64_t length) const {
    if (t >= length) return 0;
    return causal ? t + 1 : length;
  }
};
