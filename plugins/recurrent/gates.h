#pragma once

#include <cstdint>

/// The element-wise part of one step of one sample: gates from their pre-activations, state from gates, and back.
/// Equations and names are those of recurrent.h; H units; a gate's H numbers lie behind those of the gate before.
/// One thread, the widest vectors of the CPU at hand; NaN stays NaN.
namespace recurrent {

/// A vanilla network is two cells, one for each nonlinearity.
enum class Cell { rnn_tanh, rnn_relu, lstm, gru };

/// What a step reads and writes on the way forward.
template <class T>
struct ForwardStep {
  const T* recurrent;    ///< (G·H)  W_hh·h₋
  const T* bias;         ///< (G·H)  b_ih + b_hh; of a GRU's n: b_in, followed by (H) b_hn
  T* gates;              ///< (G·H)  W_ih·x, replaced by the activated gates
  T* hidden;             ///< (H)    h₋, replaced by h
  const T* cell_before;  ///< (H)    lstm: c₋
  T* cell;               ///< (H)    lstm: c, written
  T* gated;              ///< (H)    gru: q, written
};

/// And on the way back.
template <class T>
struct BackwardStep {
  const T* gates;          ///< (G·H)  activated
  const T* delta;          ///< (H)    ∂C/∂h from what the layer gave out
  T* carry;                ///< (H)    ∂C/∂h from the steps behind; gru: replaced by dh ⊙ z, which goes round W_hh
  T* delta_hidden;         ///< (H)    dh, written: the sum of the two
  T* delta_gates;          ///< (G·H)  ∂C/∂ of the gates' pre-activations, written
  const T* cell_before;    ///< (H)    lstm: c₋
  const T* cell;           ///< (H)    lstm: c
  T* d_cell;               ///< (H)    lstm: ∂C/∂c from the steps behind, replaced by ∂C/∂c₋
  const T* hidden_before;  ///< (H)    gru: h₋
  const T* gated;          ///< (H)    gru: q
  T* delta_gated;          ///< (H)    gru: ∂C/∂q, written
};

template <class T>
void step_forward(Cell cell, std::int64_t H, const ForwardStep<T>& step);
template <class T>
void step_backward(Cell cell, std::int64_t H, const BackwardStep<T>& step);

}  // namespace recurrent
