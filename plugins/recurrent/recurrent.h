#pragma once

#include <backplane/plugin.hpp>

#include <cstdint>
#include <string>

namespace recurrent {

enum class Kind { rnn, lstm, gru };

/// Recurrent layers on sequences. h₋ and c₋ are the states of the step computed before (0 ahead of the first), ⊙ is
/// element by element, σ the logistic function. Gates, weights and biases lie as PyTorch's do, and can be exchanged.
///
///   x  (N, T, I)  input          W_ih (G·H, I)  weights of the input      b_ih (G·H)  bias
///   h  (N, T, H)  hidden state   W_hh (G·H, H)  weights of the state      b_hh (G·H)  bias
///   z  h of every step (output: sequence), or (N, H) of the last one (output: last)
///   δ  ∂C/∂z, given
///
///   rnn   G = 1   h = φ(s)                                     s = W_ih·x + b_ih + W_hh·h₋ + b_hh, φ tanh or relu
///
///   lstm  G = 4   i, f, o = σ(s_i), σ(s_f), σ(s_o)             s = W_ih·x + b_ih + W_hh·h₋ + b_hh, in the order
///                 g = tanh(s_g)                                i, f, g, o
///                 c = f ⊙ c₋ + i ⊙ g
///                 h = o ⊙ tanh(c)
///
///   gru   G = 3   r, z = σ(s_r), σ(s_z)                        s as above for r and z, in the order r, z, n
///                 q = W_hn·h₋ + b_hn
///                 n = tanh(W_in·x + b_in + r ⊙ q)
///                 h = (1 − z) ⊙ n + z ⊙ h₋
///
/// Backward goes through the steps in the opposite order. dh and dc are all of ∂C/∂h and ∂C/∂c: what comes from above,
/// and what the step behind hands on. δ_s (`delta_gates`) is the gradient of what stands inside σ, tanh and φ:
///
///   rnn   δ_s = dh ⊙ φ'(s)
///
///   lstm  dc  = dc₊ + dh ⊙ o ⊙ (1 − tanh² c)                   handed on: dc₋ = dc ⊙ f
///         δ_i = dc ⊙ g ⊙ i ⊙ (1 − i)      δ_f = dc ⊙ c₋ ⊙ f ⊙ (1 − f)
///         δ_g = dc ⊙ i ⊙ (1 − g²)         δ_o = dh ⊙ tanh(c) ⊙ o ⊙ (1 − o)
///
///   gru   δ_n = dh ⊙ (1 − z) ⊙ (1 − n²)   δ_z = dh ⊙ (h₋ − n) ⊙ z ⊙ (1 − z)
///         δ_r = δ_n ⊙ q ⊙ r ⊙ (1 − r)     δ_q = δ_n ⊙ r
///
///   handed on   dh₋ = δ_s·W_hh            gru: (δ_r, δ_z, δ_q)·W_hh + dh ⊙ z
///   ∂C/∂x     = δ_s·W_ih                  (written)
///   ∂C/∂W_ih = Σ δ_sᵀ·x                  ∂C/∂b_ih = Σ δ_s                    over samples and steps
///   ∂C/∂W_hh = Σ δ_sᵀ·h₋                 ∂C/∂b_hh = Σ δ_s                    gru: δ_q in the place of δ_n
///
/// Options:
///   bidirectional  a second set of parameters (…_reverse) reads the sequence from its end; all last axes are doubled,
///                  forward | reverse. "last" is the state after the last step that each direction computed: T−1 and 0.
///   bptt k         truncated: nothing is handed from step t back over the border between t−1 and t where k divides t
///                  (in either direction). 0: the whole sequence.
///   stateful       h (and c) of the last step are where the same row of the next batch begins; no gradient crosses.
/// Several layers are several entries of the list: what PyTorch calls num_layers, each reading the sequence of the one
/// before (2H features if bidirectional).
///
/// Of a sample with L < T valid steps, the others are not computed: z, the saved tensors and ∂C/∂x are 0 there, δ is
/// not looked at, "last" is step L−1, and the reverse direction begins there.
///
///   needs      x
///   packed   W_ihᵀ and W_hhᵀ, rows padded, and the sum of the biases; W_ih and W_hh themselves, padded, where rows
///              would be a multiple of 2 KiB apart
///   saved      gates (T, G·H) activated, in the order above
///              hidden_before (T, H) h₋: what W_hh was multiplied with, as one matrix for ∂C/∂W_hh
///              hidden (T, H) h, where z does not hold it already (output: last); of an rnn it is `gates`
///              cell (T, H) c                lstm
///              gated (T, H) q               gru
///              delta_gates (T, G·H) δ_s     delta_hidden (T, H) dh     delta_gated (T, H) δ_q, gru
///   state      hidden (H), cell (H)         stateful
///   source     Elman 1990; Hochreiter, Schmidhuber 1997, with forget gates: Gers, Schmidhuber, Cummins 2000;
///              Cho et al. 2014, with q inside r: version 1 of the paper, cuDNN and PyTorch
template <Kind kKind>
struct Recurrent {
  std::int64_t units = 1;
  bool bidirectional = false;
  std::string output = "sequence";
  bool stateful = false;
  std::int64_t bptt = 0;
  bool bias = true;
  std::string nonlinearity = "tanh";  ///< of an rnn

  static void describe(bp::About<Recurrent>& about);
  void plan(bp::Plan& plan) const;
  template <class T>
  void pack(const bp::Call<T>& call) const;
  template <class T>
  void forward(const bp::Call<T>& call) const;
  template <class T>
  void backward(const bp::Call<T>& call) const;
  template <class T>
  void update_state(const bp::Call<T>& call) const;
};

using Rnn = Recurrent<Kind::rnn>;
using Lstm = Recurrent<Kind::lstm>;
using Gru = Recurrent<Kind::gru>;

}  // namespace recurrent
