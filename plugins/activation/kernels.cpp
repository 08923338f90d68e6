// Compiled once per instruction set (Highway's foreach_target); the best one is chosen when first called.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "activation/kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "activation/activation.h"
#include "activation/erfc.h"
#include "activation/functions-inl.h"

HWY_BEFORE_NAMESPACE();
namespace activation::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Φ(z) = ½ erfc(−z/√2); erfc has no form in Highway.
template <class D, class V>
V normal_distribution(D d, V z) {
  using T = hn::TFromD<D>;
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  hn::Store(hn::Div(hn::Neg(z), hn::Set(d, std::numbers::sqrt2_v<T>)), d, lanes);
  erfc_of_vector(lanes, static_cast<std::int64_t>(hn::Lanes(d)));
  return hn::Mul(hn::Set(d, T(0.5)), hn::Load(d, lanes));
}

/// σ(z) of one vector.
template <class D, class V>
V value(D d, Function function, V parameter, V z) {
  const V zero = hn::Zero(d);
  switch (function) {
    case Function::identity: return z;
    case Function::sigmoid: return sigmoid(d, z);
    case Function::tanh: return hn::Tanh(d, z);
    case Function::relu: return relu(d, z);
    case Function::leaky_relu: return hn::IfThenElse(hn::Gt(z, zero), z, hn::Mul(parameter, z));
    case Function::elu:
      // numerics: eᶻ is asked only where z ≤ 0, so the side not taken cannot overflow.
      return hn::IfThenElse(hn::Gt(z, zero), z, hn::Mul(parameter, hn::Expm1(d, hn::Min(z, zero))));
    case Function::gelu: return hn::Mul(z, normal_distribution(d, z));
    case Function::softplus:
      // numerics: ln(1 + eᶻ) = max(z, 0) + ln(1 + e^−|z|), whose exponential never overflows.
      return hn::Add(hn::Max(z, zero), hn::Log1p(d, hn::Exp(d, hn::Neg(hn::Abs(z)))));
    case Function::swish: return hn::Mul(z, sigmoid(d, z));
  }
  return z;
}

/// σ'(z) of one vector; `a` is what `value` gave for z.
template <class D, class V>
V derivative(D d, Function function, V parameter, V z, V a) {
  using T = hn::TFromD<D>;
  const V zero = hn::Zero(d), one = hn::Set(d, 1);
  switch (function) {
    case Function::identity: return one;
    case Function::sigmoid: return hn::Mul(a, hn::Sub(one, a));
    case Function::tanh: return hn::NegMulAdd(a, a, one);
    case Function::relu: return hn::IfThenElse(hn::Gt(a, zero), one, zero);
    case Function::leaky_relu: return hn::IfThenElse(hn::Gt(z, zero), one, parameter);
    case Function::elu: return hn::IfThenElse(hn::Gt(z, zero), one, hn::Add(a, parameter));
    case Function::gelu: {
      const V density = hn::Mul(hn::Set(d, T(0.5) * std::numbers::inv_sqrtpi_v<T> * std::numbers::sqrt2_v<T>),
                                hn::Exp(d, hn::Mul(hn::Set(d, T(-0.5)), hn::Mul(z, z))));
      return hn::MulAdd(z, density, normal_distribution(d, z));
    }
    case Function::softplus: return sigmoid(d, z);
    case Function::swish: {
      const V s = sigmoid(d, z);
      return hn::MulAdd(a, hn::Sub(one, s), s);
    }
  }
  return one;
}

template <class T>
void map(Function function, double parameter, const T* z, T* a, std::int64_t count) {
  const hn::ScalableTag<T> d;
  const auto p = hn::Set(d, static_cast<T>(parameter));
  for_each_vector<T>(count, [&](std::int64_t i, auto lanes) {
    const auto in = load(d, z + i, lanes);
    // NaN must stay NaN: some of Highway's functions, and Min and Max, turn it into a number.
    store(d, hn::IfThenElse(hn::IsNaN(in), in, value(d, function, p, in)), a + i, lanes);
  });
}

template <class T>
void map_backward(Function function, double parameter, const T* z, const T* a, const T* d_activation, T* delta,
                  std::int64_t count) {
  const hn::ScalableTag<T> d;
  const auto p = hn::Set(d, static_cast<T>(parameter));
  for_each_vector<T>(count, [&](std::int64_t i, auto lanes) {
    const auto slope = derivative(d, function, p, load(d, z + i, lanes), load(d, a + i, lanes));
    store(d, hn::Mul(load(d, d_activation + i, lanes), slope), delta + i, lanes);
  });
}

void apply_f32(Function f, double p, const float* z, float* a, std::int64_t n) {
  map(f, p, z, a, n);
}
void apply_f64(Function f, double p, const double* z, double* a, std::int64_t n) {
  map(f, p, z, a, n);
}
void apply_backward_f32(Function f, double p, const float* z, const float* a, const float* g, float* delta,
                        std::int64_t n) {
  map_backward(f, p, z, a, g, delta, n);
}
void apply_backward_f64(Function f, double p, const double* z, const double* a, const double* g, double* delta,
                        std::int64_t n) {
  map_backward(f, p, z, a, g, delta, n);
}
}  // namespace activation::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace activation {

HWY_EXPORT(apply_f32);
HWY_EXPORT(apply_f64);
HWY_EXPORT(apply_backward_f32);
HWY_EXPORT(apply_backward_f64);

template <>
void apply(Function function, double parameter, const float* z, float* a, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(apply_f32)(function, parameter, z, a, count);
}
template <>
void apply(Function function, double parameter, const double* z, double* a, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(apply_f64)(function, parameter, z, a, count);
}
template <>
void apply_backward(Function function, double parameter, const float* z, const float* a, const float* d_activation,
                    float* delta, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(apply_backward_f32)(function, parameter, z, a, d_activation, delta, count);
}
template <>
void apply_backward(Function function, double parameter, const double* z, const double* a, const double* d_activation,
                    double* delta, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(apply_backward_f64)(function, parameter, z, a, d_activation, delta, count);
}

}  // namespace activation
#endif
