// Compiled once per instruction set (Highway's foreach_target); the best one is chosen when first called.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "recurrent/gates.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "activation/functions-inl.h"
#include "recurrent/gates.h"

HWY_BEFORE_NAMESPACE();
namespace recurrent::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using activation::HWY_NAMESPACE::for_each_vector;
using activation::HWY_NAMESPACE::load;
using activation::HWY_NAMESPACE::relu;
using activation::HWY_NAMESPACE::sigmoid;
using activation::HWY_NAMESPACE::store;

/// a·(1 − a), the derivative of a sigmoid that gave a.
template <class D, class V>
HWY_INLINE V sigmoid_slope(D d, V a) {
  return hn::Mul(a, hn::Sub(hn::Set(d, 1), a));
}

/// 1 − a², the derivative of a tanh that gave a.
template <class D, class V>
HWY_INLINE V tanh_slope(D d, V a) {
  return hn::NegMulAdd(a, a, hn::Set(d, 1));
}

/// W_ih·x + W_hh·h₋ + bias of element `at`.
template <class T, class D, class Lanes>
HWY_INLINE hn::Vec<D> sum(D d, const ForwardStep<T>& step, std::int64_t at, Lanes lanes) {
  return hn::Add(hn::Add(load(d, step.gates + at, lanes), load(d, step.recurrent + at, lanes)),
                 load(d, step.bias + at, lanes));
}

template <class T, class D>
void rnn_forward(D d, bool is_tanh, std::int64_t H, const ForwardStep<T>& step) {
  for_each_vector<T>(H, [&](std::int64_t k, auto lanes) {
    const auto s = sum(d, step, k, lanes);
    const auto h = is_tanh ? hn::Tanh(d, s) : relu(d, s);
    store(d, h, step.gates + k, lanes);
    store(d, h, step.hidden + k, lanes);
  });
}

template <class T, class D>
void rnn_backward(D d, bool is_tanh, std::int64_t H, const BackwardStep<T>& step) {
  const auto zero = hn::Zero(d), one = hn::Set(d, 1);
  for_each_vector<T>(H, [&](std::int64_t k, auto lanes) {
    const auto h = load(d, step.gates + k, lanes);
    const auto dh = hn::Add(load(d, step.delta + k, lanes), load(d, step.carry + k, lanes));
    const auto slope = is_tanh ? tanh_slope(d, h) : hn::IfThenElse(hn::Gt(h, zero), one, zero);
    store(d, dh, step.delta_hidden + k, lanes);
    store(d, hn::Mul(dh, slope), step.delta_gates + k, lanes);
  });
}

template <class T, class D>
void lstm_forward(D d, std::int64_t H, const ForwardStep<T>& step) {
  for_each_vector<T>(H, [&](std::int64_t k, auto lanes) {
    const auto i = sigmoid(d, sum(d, step, k, lanes)), f = sigmoid(d, sum(d, step, H + k, lanes));
    const auto g = hn::Tanh(d, sum(d, step, 2 * H + k, lanes)), o = sigmoid(d, sum(d, step, 3 * H + k, lanes));
    const auto c = hn::MulAdd(f, load(d, step.cell_before + k, lanes), hn::Mul(i, g));
    store(d, i, step.gates + k, lanes);
    store(d, f, step.gates + H + k, lanes);
    store(d, g, step.gates + 2 * H + k, lanes);
    store(d, o, step.gates + 3 * H + k, lanes);
    store(d, c, step.cell + k, lanes);
    store(d, hn::Mul(o, hn::Tanh(d, c)), step.hidden + k, lanes);
  });
}

template <class T, class D>
void lstm_backward(D d, std::int64_t H, const BackwardStep<T>& step) {
  for_each_vector<T>(H, [&](std::int64_t k, auto lanes) {
    const auto i = load(d, step.gates + k, lanes), f = load(d, step.gates + H + k, lanes);
    const auto g = load(d, step.gates + 2 * H + k, lanes), o = load(d, step.gates + 3 * H + k, lanes);
    const auto tanh_c = hn::Tanh(d, load(d, step.cell + k, lanes));
    const auto dh = hn::Add(load(d, step.delta + k, lanes), load(d, step.carry + k, lanes));
    const auto dc = hn::MulAdd(hn::Mul(dh, o), tanh_slope(d, tanh_c), load(d, step.d_cell + k, lanes));
    const auto df = hn::Mul(dc, load(d, step.cell_before + k, lanes));
    store(d, dh, step.delta_hidden + k, lanes);
    store(d, hn::Mul(hn::Mul(dc, g), sigmoid_slope(d, i)), step.delta_gates + k, lanes);
    store(d, hn::Mul(df, sigmoid_slope(d, f)), step.delta_gates + H + k, lanes);
    store(d, hn::Mul(hn::Mul(dc, i), tanh_slope(d, g)), step.delta_gates + 2 * H + k, lanes);
    store(d, hn::Mul(hn::Mul(dh, tanh_c), sigmoid_slope(d, o)), step.delta_gates + 3 * H + k, lanes);
    store(d, hn::Mul(dc, f), step.d_cell + k, lanes);
  });
}

template <class T, class D>
void gru_forward(D d, std::int64_t H, const ForwardStep<T>& step) {
  for_each_vector<T>(H, [&](std::int64_t k, auto lanes) {
    const auto r = sigmoid(d, sum(d, step, k, lanes)), z = sigmoid(d, sum(d, step, H + k, lanes));
    const auto from_x = hn::Add(load(d, step.gates + 2 * H + k, lanes), load(d, step.bias + 2 * H + k, lanes));
    const auto q = hn::Add(load(d, step.recurrent + 2 * H + k, lanes), load(d, step.bias + 3 * H + k, lanes));
    const auto n = hn::Tanh(d, hn::MulAdd(r, q, from_x));
    store(d, r, step.gates + k, lanes);
    store(d, z, step.gates + H + k, lanes);
    store(d, n, step.gates + 2 * H + k, lanes);
    store(d, q, step.gated + k, lanes);
    // h = (1 − z) ⊙ n + z ⊙ h₋
    store(d, hn::MulAdd(z, hn::Sub(load(d, step.hidden + k, lanes), n), n), step.hidden + k, lanes);
  });
}

template <class T, class D>
void gru_backward(D d, std::int64_t H, const BackwardStep<T>& step) {
  const auto one = hn::Set(d, 1);
  for_each_vector<T>(H, [&](std::int64_t k, auto lanes) {
    const auto r = load(d, step.gates + k, lanes), z = load(d, step.gates + H + k, lanes);
    const auto n = load(d, step.gates + 2 * H + k, lanes);
    const auto dh = hn::Add(load(d, step.delta + k, lanes), load(d, step.carry + k, lanes));
    const auto delta_n = hn::Mul(hn::Mul(dh, hn::Sub(one, z)), tanh_slope(d, n));
    const auto dz = hn::Mul(dh, hn::Sub(load(d, step.hidden_before + k, lanes), n));
    const auto dr = hn::Mul(delta_n, load(d, step.gated + k, lanes));
    store(d, dh, step.delta_hidden + k, lanes);
    store(d, hn::Mul(dr, sigmoid_slope(d, r)), step.delta_gates + k, lanes);
    store(d, hn::Mul(dz, sigmoid_slope(d, z)), step.delta_gates + H + k, lanes);
    store(d, delta_n, step.delta_gates + 2 * H + k, lanes);
    store(d, hn::Mul(delta_n, r), step.delta_gated + k, lanes);
    store(d, hn::Mul(dh, z), step.carry + k, lanes);
  });
}

template <class T>
void forward(Cell cell, std::int64_t H, const ForwardStep<T>& step) {
  const hn::ScalableTag<T> d;
  switch (cell) {
    case Cell::rnn_tanh: return rnn_forward(d, true, H, step);
    case Cell::rnn_relu: return rnn_forward(d, false, H, step);
    case Cell::lstm: return lstm_forward(d, H, step);
    case Cell::gru: return gru_forward(d, H, step);
  }
}

template <class T>
void backward(Cell cell, std::int64_t H, const BackwardStep<T>& step) {
  const hn::ScalableTag<T> d;
  switch (cell) {
    case Cell::rnn_tanh: return rnn_backward(d, true, H, step);
    case Cell::rnn_relu: return rnn_backward(d, false, H, step);
    case Cell::lstm: return lstm_backward(d, H, step);
    case Cell::gru: return gru_backward(d, H, step);
  }
}

void forward_f32(Cell cell, std::int64_t H, const ForwardStep<float>& step) {
  forward(cell, H, step);
}
void forward_f64(Cell cell, std::int64_t H, const ForwardStep<double>& step) {
  forward(cell, H, step);
}
void backward_f32(Cell cell, std::int64_t H, const BackwardStep<float>& step) {
  backward(cell, H, step);
}
void backward_f64(Cell cell, std::int64_t H, const BackwardStep<double>& step) {
  backward(cell, H, step);
}

}  // namespace recurrent::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace recurrent {

HWY_EXPORT(forward_f32);
HWY_EXPORT(forward_f64);
HWY_EXPORT(backward_f32);
HWY_EXPORT(backward_f64);

template <>
void step_forward(Cell cell, std::int64_t H, const ForwardStep<float>& step) {
  HWY_DYNAMIC_DISPATCH(forward_f32)(cell, H, step);
}
template <>
void step_forward(Cell cell, std::int64_t H, const ForwardStep<double>& step) {
  HWY_DYNAMIC_DISPATCH(forward_f64)(cell, H, step);
}
template <>
void step_backward(Cell cell, std::int64_t H, const BackwardStep<float>& step) {
  HWY_DYNAMIC_DISPATCH(backward_f32)(cell, H, step);
}
template <>
void step_backward(Cell cell, std::int64_t H, const BackwardStep<double>& step) {
  HWY_DYNAMIC_DISPATCH(backward_f64)(cell, H, step);
}

}  // namespace recurrent
#endif
