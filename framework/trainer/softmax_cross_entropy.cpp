// Compiled once per instruction set (Highway's foreach_target); the best one is chosen when first called.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/softmax_cross_entropy.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>

#include "trainer/softmax_cross_entropy.h"

HWY_BEFORE_NAMESPACE();
namespace backplane::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Numbers = hn::ScalableTag<double>;

/// body(index, numbers in use) over [0, count), as many at a time as a vector has lanes.
template <class Body>
HWY_INLINE void for_each_vector(std::int64_t count, const Body& body) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(Numbers()));
  for (std::int64_t i = 0; i < count; i += lanes) body(i, std::min(lanes, count - i));
}

/// Numbers from[0 … in_use), as float64; `missing` in the other lanes.
template <class T>
HWY_INLINE hn::Vec<Numbers> load(const T* from, std::int64_t in_use, double missing) {
  HWY_ALIGN double padded[hn::MaxLanes(Numbers())];
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(Numbers()));
  for (std::int64_t i = 0; i < lanes; ++i) padded[i] = i < in_use ? static_cast<double>(from[i]) : missing;
  return hn::Load(Numbers(), padded);
}

/// eˣ for x ≤ 0. numerics: Highway's gives 0 for NaN, which would hide a divergence.
HWY_INLINE hn::Vec<Numbers> exponential(hn::Vec<Numbers> x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(Numbers(), x));
}

template <class T>
double evaluate(const T* z, const T* q, std::int64_t count, double scale, T* gradient) {
  const Numbers d;
  // numerics: shifted by the largest z, so that the exponentials neither overflow nor all vanish.
  const double largest = *std::max_element(z, z + count);
  const auto shift = hn::Set(d, largest);
  auto exponentials = hn::Zero(d), targets = hn::Zero(d), weighted = hn::Zero(d);
  for_each_vector(count, [&](std::int64_t i, std::int64_t in_use) {
    const auto x = hn::Sub(load(z + i, in_use, -HUGE_VAL), shift), target = load(q + i, in_use, 0.0);
    exponentials = hn::Add(exponentials, exponential(x));
    targets = hn::Add(targets, target);
    // 0 where the target is, even of −∞
    weighted = hn::Add(weighted, hn::IfThenElseZero(hn::Ne(target, hn::Zero(d)), hn::Mul(target, x)));
  });
  const double total = hn::GetLane(hn::SumOfLanes(d, targets));
  const double normalizer = std::log(hn::GetLane(hn::SumOfLanes(d, exponentials)));
  if (gradient != nullptr) {
    const auto log_sum = hn::Set(d, largest + normalizer), sum = hn::Set(d, total), factor = hn::Set(d, scale);
    for_each_vector(count, [&](std::int64_t i, std::int64_t in_use) {
      const auto p = exponential(hn::Min(hn::Sub(load(z + i, in_use, -HUGE_VAL), log_sum), hn::Zero(d)));
      HWY_ALIGN double values[hn::MaxLanes(d)];
      hn::Store(hn::Mul(factor, hn::Sub(hn::Mul(p, sum), load(q + i, in_use, 0.0))), d, values);
      std::transform(values, values + in_use, gradient + i, [](double value) { return static_cast<T>(value); });
    });
  }
  return total * normalizer - hn::GetLane(hn::SumOfLanes(d, weighted));
}

double evaluate_f32(const float* z, const float* q, std::int64_t count, double scale, float* gradient) {
  return evaluate(z, q, count, scale, gradient);
}
double evaluate_f64(const double* z, const double* q, std::int64_t count, double scale, double* gradient) {
  return evaluate(z, q, count, scale, gradient);
}

}  // namespace backplane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace backplane {

HWY_EXPORT(evaluate_f32);
HWY_EXPORT(evaluate_f64);

template <>
double softmax_cross_entropy(const float* z, const float* q, std::int64_t count, double scale, float* gradient) {
  return HWY_DYNAMIC_DISPATCH(evaluate_f32)(z, q, count, scale, gradient);
}
template <>
double softmax_cross_entropy(const double* z, const double* q, std::int64_t count, double scale, double* gradient) {
  return HWY_DYNAMIC_DISPATCH(evaluate_f64)(z, q, count, scale, gradient);
}

}  // namespace backplane
#endif
