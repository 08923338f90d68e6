// Compiled once per instruction set (Highway's foreach_target); the best one is chosen when first called.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "losses/softmax_kernel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>

#include "losses/softmax_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace backplane::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Numbers = hn::ScalableTag<double>;
using Vector = hn::Vec<Numbers>;
/// As many elements of T as there are lanes of float64.
template <class T>
using Elements = hn::Rebind<T, Numbers>;

HWY_INLINE Vector widened(hn::Vec<Elements<float>> v) {
  return hn::PromoteTo(Numbers(), v);
}
HWY_INLINE Vector widened(Vector v) {
  return v;
}
HWY_INLINE hn::Vec<Elements<float>> narrowed(float, Vector v) {
  return hn::DemoteTo(Elements<float>(), v);
}
HWY_INLINE Vector narrowed(double, Vector v) {
  return v;
}

/// body(load, store) for each vector of [0, count): load(from, missing) gives elements as float64, store(v, to) puts
/// them back. In the last vector, lanes that have no element are `missing` and not stored.
template <class T, class Body>
HWY_INLINE void for_each_vector(std::int64_t count, const Body& body) {
  const Elements<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    body([&](const T* from, T) { return widened(hn::LoadU(d, from + i)); },
         [&](Vector v, T* to) { hn::StoreU(narrowed(T(), v), d, to + i); });
  if (i == count) return;
  HWY_ALIGN T padded[hn::MaxLanes(d)];
  body(
      [&](const T* from, T missing) {
        std::fill(std::copy(from + i, from + count, padded), padded + lanes, missing);
        return widened(hn::Load(d, padded));
      },
      [&](Vector v, T* to) {
        hn::Store(narrowed(T(), v), d, padded);
        std::copy_n(padded, count - i, to + i);
      });
}

template <class T>
T largest(const T* values, std::int64_t count) {
  const Numbers d;
  auto most = hn::Set(d, static_cast<double>(values[0]));
  for_each_vector<T>(count, [&](auto load, auto) { most = hn::Max(most, load(values, values[0])); });
  return static_cast<T>(hn::GetLane(hn::MaxOfLanes(d, most)));
}

/// eˣ for x ≤ 0. numerics: Highway's gives 0 for NaN, which would hide a divergence.
HWY_INLINE Vector exponential(Vector x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(Numbers(), x));
}

template <class T>
double evaluate(const T* z, const T* q, std::int64_t count, double scale, T* gradient) {
  const Numbers d;
  const T nothing = static_cast<T>(-HUGE_VAL);
  // numerics: shifted by the largest z, so that the exponentials neither overflow nor all vanish.
  const double shift = largest(z, count);
  auto exponentials = hn::Zero(d), targets = hn::Zero(d), weighted = hn::Zero(d);
  for_each_vector<T>(count, [&](auto load, auto store) {
    const auto x = hn::Sub(load(z, nothing), hn::Set(d, shift)), target = load(q, T(0));
    const auto e = exponential(x);
    if (gradient != nullptr) store(e, gradient);  // where p will stand
    exponentials = hn::Add(exponentials, e);
    targets = hn::Add(targets, target);
    // 0 where the target is, even of −∞
    weighted = hn::Add(weighted, hn::IfThenElseZero(hn::Ne(target, hn::Zero(d)), hn::Mul(target, x)));
  });
  const double total = hn::GetLane(hn::SumOfLanes(d, targets));
  const double sum = hn::GetLane(hn::SumOfLanes(d, exponentials));
  if (gradient != nullptr)
    for_each_vector<T>(count, [&](auto load, auto store) {
      const auto p = hn::Mul(load(gradient, T(0)), hn::Set(d, total / sum));
      store(hn::Mul(hn::Set(d, scale), hn::Sub(p, load(q, T(0)))), gradient);
    });
  return total * std::log(sum) - hn::GetLane(hn::SumOfLanes(d, weighted));
}

double evaluate_f32(const float* z, const float* q, std::int64_t count, double scale, float* gradient) {
  return evaluate(z, q, count, scale, gradient);
}
double evaluate_f64(const double* z, const double* q, std::int64_t count, double scale, double* gradient) {
  return evaluate(z, q, count, scale, gradient);
}
float largest_f32(const float* values, std::int64_t count) {
  return largest(values, count);
}
double largest_f64(const double* values, std::int64_t count) {
  return largest(values, count);
}

}  // namespace backplane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace backplane {

HWY_EXPORT(evaluate_f32);
HWY_EXPORT(evaluate_f64);
HWY_EXPORT(largest_f32);
HWY_EXPORT(largest_f64);

template <>
double softmax_cross_entropy(const float* z, const float* q, std::int64_t count, double scale, float* gradient) {
  return HWY_DYNAMIC_DISPATCH(evaluate_f32)(z, q, count, scale, gradient);
}
template <>
double softmax_cross_entropy(const double* z, const double* q, std::int64_t count, double scale, double* gradient) {
  return HWY_DYNAMIC_DISPATCH(evaluate_f64)(z, q, count, scale, gradient);
}

template <>
std::int64_t index_of_largest(const float* values, std::int64_t count) {
  return std::find(values, values + count, HWY_DYNAMIC_DISPATCH(largest_f32)(values, count)) - values;
}
template <>
std::int64_t index_of_largest(const double* values, std::int64_t count) {
  return std::find(values, values + count, HWY_DYNAMIC_DISPATCH(largest_f64)(values, count)) - values;
}

}  // namespace backplane
#endif
