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
HWY_INLINE V exponential(D d, V x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, x));
}

/// 1 / (1 + e⁻ᶻ), which for negative z is eᶻ / (1 + eᶻ).
template <class D, class V>
HWY_INLINE V sigmoid(D d, V z) {
  const V one = hn::Set(d, 1);
  const V e = exponential(d, hn::Neg(hn::Abs(z)));
  return hn::Div(hn::IfThenElse(hn::Lt(z, hn::Zero(d)), e, one), hn::Add(one, e));
}

/// max(0, z). Not Highway's Max: NaN must stay NaN.
template <class D, class V>
HWY_INLINE V relu(D d, V z) {
  return hn::IfThenElse(hn::Lt(z, hn::Zero(d)), hn::Zero(d), z);
}

/// A whole vector of lanes, where a number of them would say how many are in use.
struct AllLanes {};

/// body(index of the first element, lanes in use) over [0, count): whole vectors, for which the body is compiled
/// without a thought of the rest, then the rest through a padded copy, so that an element's value does not depend on
/// where the range was cut.
template <class T, class Body>
HWY_INLINE void for_each_vector(std::int64_t count, const Body& body) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) body(i, AllLanes{});
  if (i < count) body(i, count - i);
}

template <class T, class D>
HWY_INLINE hn::Vec<D> load(D d, const T* from, AllLanes, T = 0) {
  return hn::LoadU(d, from);
}
/// Loads `lanes` elements; the others are `missing`.
template <class T, class D>
HWY_INLINE hn::Vec<D> load(D d, const T* from, std::int64_t lanes, T missing = 0) {
  HWY_ALIGN T padded[hn::MaxLanes(d)];
  std::fill(padded, padded + hn::MaxLanes(d), missing);
  std::copy_n(from, lanes, padded);
  return hn::Load(d, padded);
}

template <class T, class D>
HWY_INLINE void store(D d, hn::Vec<D> vector, T* to, AllLanes) {
  hn::StoreU(vector, d, to);
}
template <class T, class D>
HWY_INLINE void store(D d, hn::Vec<D> vector, T* to, std::int64_t lanes) {
  HWY_ALIGN T padded[hn::MaxLanes(d)];
  hn::Store(vector, d, padded);
  std::copy_n(padded, lanes, to);
}

}  // namespace activation::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
