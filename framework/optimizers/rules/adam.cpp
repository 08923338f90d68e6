#include "optimizers/rules/adam.h"

#include <cmath>

#include "base/multiversion.h"
#include "optimizers/options.h"
#include "optimizers/table.h"

namespace backplane::rules {

namespace {

/// `added1`, `added2`: 1 − β₁ and 1 − β₂.
/// numerics: they are rounded from float64, since 1 − β₂ in float32 is 1.3e-5 off (of 0.001), and with it every v.
template <class T, class Gradient>
BP_MULTIVERSION void step(T* __restrict w, Gradient g, T* __restrict m, T* __restrict v, T rate, T beta1, T added1,
                          T beta2, T added2, T mean_correction, T variance_correction, T epsilon, T shrink,
                          std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T gradient = g(i, w[i]);
    m[i] = beta1 * m[i] + added1 * gradient;
    v[i] = beta2 * v[i] + added2 * gradient * gradient;
    w[i] = shrink * w[i] - rate * (m[i] * mean_correction) / (std::sqrt(v[i] * variance_correction) + epsilon);
  }
}

}  // namespace

Adam::Adam(const config::Node& options, double weight_decay)
    : beta1_(options.at("beta1").as_number()),
      beta2_(options.at("beta2").as_number()),
      epsilon_(options.at("epsilon").as_number()),
      weight_decay_(weight_decay) {}

template <class T>
void Adam::apply(const Update<T>& u) const {
  const auto as = [](double value) { return static_cast<T>(value); };
  const auto t = static_cast<double>(u.step);
  const double mean_correction = 1.0 / (1.0 - std::pow(beta1_, t));
  const double variance_correction = 1.0 / (1.0 - std::pow(beta2_, t));
  const double shrink = 1.0 - (u.is_weight ? u.rate * weight_decay_ : 0.0);
  with_gradient(u.gradient, [&](auto g) {
    step(u.values, g, u.slots[0], u.slots[1], as(u.rate), as(beta1_), as(1.0 - beta1_), as(beta2_), as(1.0 - beta2_),
         as(mean_correction), as(variance_correction), as(epsilon_), as(shrink), u.count);
  });
}
template void Adam::apply(const Update<float>&) const;
template void Adam::apply(const Update<double>&) const;

OptimizerKind adam() {
  return {.name = "adam",
          .doc = "Adam",
          .options = with_moments(with_rate("0.001")),
          .make = [](const config::Node& options) -> std::unique_ptr<UpdateRule> {
            return std::make_unique<Adam>(options, 0.0);
          }};
}

}  // namespace backplane::rules
