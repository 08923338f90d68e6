// Functions of vectors that kernels of several plug-ins share; included inside a file that Highway compiles once per
// instruction set, and therefore, like Highway's own -inl.h files, once per target instead of once.
#if defined(BP_ACTIVATION_FUNCTIONS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef BP_ACTIVATION_FUNCTIONS_INL_H
#undef BP_ACTIVATION_FUNCTIONS_INL_H
#else
#define BP_ACTIVATION_FUNCTIONS_INL_H
#endif

#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace activation::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// eˣ for x ≤ 0. numerics: Highway's exponential is not defined beyond +104 (float32) or +706 (float64), so no caller
/// asks for positive x; and it gives 0 for NaN, which would hide a divergence.
template <class D, class V>
V exponential(D d, V x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, x));
}

/// 1 / (1 + e⁻ᶻ), which for negative z is eᶻ / (1 + eᶻ).
template <class D, class V>
V sigmoid(D d, V z) {
  const V one = hn::Set(d, 1);
  const V e = exponential(d, hn::Neg(hn::Abs(z)));
  return hn::Div(hn::IfThenElse(hn::Lt(z, hn::Zero(d)), e, one), hn::Add(one, e));
}

/// max(0, z). Not Highway's Max: NaN must stay NaN.
template <class D, class V>
V relu(D d, V z) {
  return hn::IfThenElse(hn::Lt(z, hn::Zero(d)), hn::Zero(d), z);
}

/// body(vector index, lanes in use) over [0, count): whole vectors, then the rest through a padded copy, so that an
/// element's value does not depend on where the range was cut.
template <class T, class Body>
void for_each_vector(std::int64_t count, Body body) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) body(i, lanes);
  if (i < count) body(i, count - i);
}

/// Loads `lanes` elements; missing ones are 0.
template <class T, class D>
hn::Vec<D> load(D d, const T* from, std::int64_t lanes) {
  if (lanes == static_cast<std::int64_t>(hn::Lanes(d))) return hn::LoadU(d, from);
  HWY_ALIGN T padded[hn::MaxLanes(d)] = {};
  std::copy_n(from, lanes, padded);
  return hn::Load(d, padded);
}

template <class T, class D>
void store(D d, hn::Vec<D> vector, T* to, std::int64_t lanes) {
  if (lanes == static_cast<std::int64_t>(hn::Lanes(d))) return hn::StoreU(vector, d, to);
  HWY_ALIGN T padded[hn::MaxLanes(d)];
  hn::Store(vector, d, padded);
  std::copy_n(padded, lanes, to);
}

}  // namespace activation::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
