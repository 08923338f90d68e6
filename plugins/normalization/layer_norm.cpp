#include <cmath>

#include "kernels/lane_sum.h"
#include "base/multiversion.h"
#include "normalization/normalization.h"

namespace normalization {

using backplane::kernels::lane_sum;

namespace {

enum Parameter : std::uint32_t { kGamma, kBeta };

/// μ and 1/√(σ² + ε) of a row. numerics: the variance is the mean of squares of what is left when μ is taken off, in a
/// second pass over a row that is in the cache.
template <class T>
struct Statistics {
  T mean, inverse;
};
template <class T>
[[gnu::always_inline]] inline Statistics<T> statistics(const T* x, std::int64_t F, T epsilon) {
  const T mean = lane_sum<T>(F, [x](std::int64_t f) { return x[f]; }) / static_cast<T>(F);
  const T variance =
      lane_sum<T>(F, [x, mean](std::int64_t f) { return (x[f] - mean) * (x[f] - mean); }) / static_cast<T>(F);
  return {mean, T(1) / std::sqrt(variance + epsilon)};
}

template <class T>
BP_MULTIVERSION void normalize(std::int64_t rows, std::int64_t F, T epsilon, const T* x, const T* gamma, const T* beta,
                               T* __restrict z) {
  for (std::int64_t r = 0; r < rows; ++r, x += F, z += F) {
    const auto [mean, inverse] = statistics(x, F, epsilon);
    for (std::int64_t f = 0; f < F; ++f) z[f] = (x[f] - mean) * inverse * gamma[f] + beta[f];
  }
}

/// Each result may be nullptr.
template <class T>
BP_MULTIVERSION void normalize_backward(std::int64_t rows, std::int64_t F, T epsilon, const T* x, const T* gamma,
                                        const T* delta, T* __restrict d_x, T* __restrict d_gamma,
                                        T* __restrict d_beta) {
  for (std::int64_t r = 0; r < rows; ++r, x += F, delta += F) {
    const auto [mean, inverse] = statistics(x, F, epsilon);
    const T mu = mean, factor = inverse;  // lambdas cannot hold structured bindings
    if (d_x != nullptr) {
      const T mean_g = lane_sum<T>(F, [=](std::int64_t f) { return gamma[f] * delta[f]; }) / static_cast<T>(F);
      const T mean_gx = lane_sum<T>(F, [=](std::int64_t f) { return gamma[f] * delta[f] * (x[f] - mu) * factor; }) /
                        static_cast<T>(F);
      for (std::int64_t f = 0; f < F; ++f)
        d_x[f] = (gamma[f] * delta[f] - mean_g - (x[f] - mu) * factor * mean_gx) * factor;
      d_x += F;
    }
    if (d_gamma != nullptr)
      for (std::int64_t f = 0; f < F; ++f) d_gamma[f] += delta[f] * (x[f] - mu) * factor;
    if (d_beta != nullptr)
      for (std::int64_t f = 0; f < F; ++f) d_beta[f] += delta[f];
  }
}

}  // namespace

void LayerNorm::describe(bp::About<LayerNorm>& about) {
  about.name("layer_norm").summary("z = gamma·(a - mean)/sqrt(variance + epsilon) + beta over the last axis");
  about.attribute("epsilon", &LayerNorm::epsilon, "added to the variance").at_least(0);
  about.parameter("gamma", "gain", "factor of each feature (F)", "ones");
  about.parameter("beta", "bias", "offset of each feature (F)", "zeros");
}

void LayerNorm::plan(bp::Plan& plan) const {
  const bp::Dims input = plan.input(0);
  if (input.empty()) throw bp::Error("wants an input with at least one axis");
  const std::int64_t F = input.back();
  plan.output(input);
  plan.parameter(kGamma, {F}, F, F);
  plan.parameter(kBeta, {F}, F, F);
  plan.needs_inputs();
}

template <class T>
void LayerNorm::forward(const bp::Call<T>& call) const {
  const auto a = call.input(0);
  normalize<T>(a.rows(), a.columns(), static_cast<T>(epsilon), a.data(), call.parameter(kGamma).data(),
               call.parameter(kBeta).data(), call.output().data());
}

template <class T>
void LayerNorm::backward(const bp::Call<T>& call) const {
  // forward was:  z = γ·(a − μ)/√(σ² + ε) + β, where μ and σ² see every a of the row
  const auto a = call.input(0);
  normalize_backward<T>(a.rows(), a.columns(), static_cast<T>(epsilon), a.data(), call.parameter(kGamma).data(),
                        call.delta().data(), call.d_input(0).data(), call.d_parameter(kGamma).data(),
                        call.d_parameter(kBeta).data());
}

template void LayerNorm::forward<float>(const bp::Call<float>&) const;
template void LayerNorm::forward<double>(const bp::Call<double>&) const;
template void LayerNorm::backward<float>(const bp::Call<float>&) const;
template void LayerNorm::backward<double>(const bp::Call<double>&) const;

}  // namespace normalization
