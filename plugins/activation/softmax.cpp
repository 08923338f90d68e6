// Compiled once per instruction set (Highway's foreach_target); the best one is chosen when first called.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "activation/softmax.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "activation/activation.h"
#include "activation/functions-inl.h"

HWY_BEFORE_NAMESPACE();
namespace activation::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
void map_rows(const T* z, T* a, std::int64_t rows, std::int64_t features) {
  const hn::ScalableTag<T> d;
  for (std::int64_t row = 0; row < rows; ++row, z += features, a += features) {
    auto largest = hn::Set(d, z[0]);
    for_each_vector<T>(features,
                       [&](std::int64_t i, auto lanes) { largest = hn::Max(largest, load(d, z + i, lanes, z[0])); });
    const auto shift = hn::MaxOfLanes(d, largest);
    auto sums = hn::Zero(d);
    for_each_vector<T>(features, [&](std::int64_t i, auto lanes) {
      const auto e = exponential(d, hn::Sub(load(d, z + i, lanes, std::numeric_limits<T>::lowest()), shift));
      sums = hn::Add(sums, e);
      store(d, e, a + i, lanes);
    });
    const auto sum = hn::SumOfLanes(d, sums);
    for_each_vector<T>(
        features, [&](std::int64_t i, auto lanes) { store(d, hn::Div(load(d, a + i, lanes), sum), a + i, lanes); });
  }
}

void softmax_f32(const float* z, float* a, std::int64_t rows, std::int64_t n) {
  map_rows(z, a, rows, n);
}
void softmax_f64(const double* z, double* a, std::int64_t rows, std::int64_t n) {
  map_rows(z, a, rows, n);
}

}  // namespace activation::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace activation {

HWY_EXPORT(softmax_f32);
HWY_EXPORT(softmax_f64);

template <>
void softmax(const float* z, float* a, std::int64_t rows, std::int64_t features) {
  HWY_DYNAMIC_DISPATCH(softmax_f32)(z, a, rows, features);
}
template <>
void softmax(const double* z, double* a, std::int64_t rows, std::int64_t features) {
  HWY_DYNAMIC_DISPATCH(softmax_f64)(z, a, rows, features);
}

template <class T>
void softmax_backward(const T* a, const T* d_activation, T* delta, std::int64_t rows, std::int64_t features) {
  // forward was:  aᵢ = eᶻⁱ / Σⱼ eᶻʲ, so ∂aⱼ/∂zᵢ = aⱼ·([i = j] − aᵢ)
  // numerics: where one a is close to 1, its g less Σ a·g cancels, and what is left is the rounding of the sum. Σ a =
  // 1, so a second sum, of what is left, has all of its digits.
  for (std::int64_t row = 0; row < rows; ++row, a += features, d_activation += features, delta += features) {
    T weighted = 0, rest = 0;
    for (std::int64_t j = 0; j < features; ++j) weighted += a[j] * d_activation[j];
    for (std::int64_t j = 0; j < features; ++j) rest += a[j] * (d_activation[j] - weighted);
    for (std::int64_t i = 0; i < features; ++i) delta[i] = a[i] * ((d_activation[i] - weighted) - rest);
  }
}
template void softmax_backward(const float*, const float*, float*, std::int64_t, std::int64_t);
template void softmax_backward(const double*, const double*, double*, std::int64_t, std::int64_t);

}  // namespace activation
#endif
