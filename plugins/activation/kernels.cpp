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

/// Φ(z) = ½ erfc(x), x = −z/√2; erfc has no form in Highway.
/// numerics: far out, erfc changes by 2x² times the relative change of x, and the rounding of x costs hundreds of units
/// in the last place. So the rest that x lacks is worked in with the slope of ln erfc, −2/√π·e^(−x²)/erfc(x), which
/// −(x + √(x² + 4/π)) comes near enough to (Abramowitz, Stegun 7.1.13).
template <class D, class V>
V normal_distribution(D d, V z) {
  using T = hn::TFromD<D>;
  const V root = hn::Set(d, std::numbers::sqrt2_v<T>), zero = hn::Zero(d);
  const V root_rest = hn::Set(d, static_cast<T>(std::numbers::sqrt2_v<long double> - std::numbers::sqrt2_v<T>));
  const V x = hn::Div(hn::Neg(z), root);
  const V rest = hn::Mul(hn::NegMulAdd(x, root_rest, hn::NegMulAdd(x, root, hn::Neg(z))),
                         hn::Set(d, T(0.5) * std::numbers::sqrt2_v<T>));
  const V slope = hn::Add(x, hn::Sqrt(hn::MulAdd(x, x, hn::Set(d, T(4) * std::numbers::inv_pi_v<T>))));
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  hn::Store(x, d, lanes);
  erfc_of_vector(lanes, static_cast<std::int64_t>(hn::Lanes(d)));
  const V erfc = hn::Load(d, lanes);
  // Only where there is something to lose; an infinite x has no rest.
  const V lost = hn::IfThenElseZero(hn::And(hn::Gt(x, zero), hn::Gt(erfc, zero)), hn::Mul(erfc, hn::Mul(slope, rest)));
  return hn::Mul(hn::Set(d, T(0.5)), hn::Sub(erfc, lost));
}

/// φ(z) = e^(−z²/2)/√(2π).
/// numerics: far out the rounding of z² would cost as many units in the last place as z² has; its rest is worked in.
template <class D, class V>
V normal_density(D d, V z) {
  using T = hn::TFromD<D>;
  const V half = hn::Set(d, T(0.5)), square = hn::Mul(z, z), rest = hn::MulSub(z, z, square);
  const V e = hn::Exp(d, hn::Neg(hn::Mul(half, square)));
  const V exact = hn::IfThenElse(hn::Gt(e, hn::Zero(d)), hn::NegMulAdd(hn::Mul(half, rest), e, e), e);
  return hn::Mul(hn::Set(d, T(0.5) * std::numbers::inv_sqrtpi_v<T> * std::numbers::sqrt2_v<T>), exact);
}

/// The derivative of the sigmoid, e⁻ᶻ / (1 + e⁻ᶻ)², which is even.
template <class D, class V>
V sigmoid_derivative(D d, V z) {
  const V e = exponential(d, hn::Neg(hn::Abs(z))), s = hn::Div(hn::Set(d, 1), hn::Add(hn::Set(d, 1), e));
  return hn::Mul(e, hn::Mul(s, s));
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
/// numerics: from z wherever a is near a limit far out, since a(1 − a), 1 − a² and a + alpha cancel there.
template <class D, class V>
V derivative(D d, Function function, V parameter, V z, V a) {
  using T = hn::TFromD<D>;
  const V zero = hn::Zero(d), one = hn::Set(d, 1);
  switch (function) {
    case Function::identity: return one;
    case Function::sigmoid: return sigmoid_derivative(d, z);
    case Function::tanh: return hn::Mul(hn::Set(d, T(4)), sigmoid_derivative(d, hn::Add(z, z)));
    case Function::relu: return hn::IfThenElse(hn::Gt(a, zero), one, zero);
    case Function::leaky_relu: return hn::IfThenElse(hn::Gt(z, zero), one, parameter);
    case Function::elu:
      return hn::IfThenElse(hn::Gt(z, zero), one,
                            hn::Mul(parameter, exponential(d, hn::IfThenElse(hn::Gt(z, zero), zero, z))));
    case Function::gelu: return hn::MulAdd(z, normal_density(d, z), normal_distribution(d, z));
    case Function::softplus: return sigmoid(d, z);
    case Function::swish: {
      // z·s(1 − s) + s with s = (e or 1)·r and s(1 − s) = e·r², e = e^−|z|
      const V e = exponential(d, hn::Neg(hn::Abs(z))), r = hn::Div(one, hn::Add(one, e));
      const V s = hn::Mul(hn::IfThenElse(hn::Lt(z, zero), e, one), r);
      return hn::MulAdd(z, hn::Mul(e, hn::Mul(r, r)), s);
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
