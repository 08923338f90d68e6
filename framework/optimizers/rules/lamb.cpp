#include <cmath>

#include "base/multiversion.h"
#include "optimizers/options.h"
#include "optimizers/table.h"

namespace backplane::rules {

namespace {

/// The moments, as Adam has them.
template <class T, class Gradient>
BP_MULTIVERSION void update_moments(const T* __restrict w, Gradient g, T* __restrict m, T* __restrict v, T beta1,
                                    T added1, T beta2, T added2, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T gradient = g(i, w[i]);
    m[i] = beta1 * m[i] + added1 * gradient;
    v[i] = beta2 * v[i] + added2 * gradient * gradient;
  }
}

/// r of element i, whose value is `w`.
template <class T>
struct Direction {
  const T *m, *v;
  T mean_correction, variance_correction, epsilon, decay;
  T operator()(std::int64_t i, T w) const {
    return (m[i] * mean_correction) / (std::sqrt(v[i] * variance_correction) + epsilon) + decay * w;
  }
};

template <class T>
BP_MULTIVERSION void step(T* __restrict w, Direction<T> r, T rate, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) w[i] -= rate * r(i, w[i]);
}

/// r = m̂ / (√v̂ + ε) + λ θ, θ −= η (‖θ‖ / ‖r‖) r, with m̂ and v̂ as Adam's and the norms of the whole parameter; where
/// one of them is 0, their quotient is 1. The decay λ is of weights  (You et al. 2020, algorithm 2 with φ(x) = x)
class Lamb : public SummingUpdateRuleOf<Lamb> {
 public:
  explicit Lamb(const config::Node& options)
      : beta1_(options.at("beta1").as_number()),
        beta2_(options.at("beta2").as_number()),
        epsilon_(options.at("epsilon").as_number()),
        weight_decay_(options.at("weight_decay").as_number()) {}
  std::vector<std::string> slots() const override { return {"mean", "variance"}; }
  std::size_t sums() const override { return 2; }  // ‖θ‖², ‖r‖²

  template <class T>
  void add_to_sums(const Update<T>& u) const {
    const auto as = [](double value) { return static_cast<T>(value); };
    with_gradient(u.gradient, [&](auto g) {
      update_moments(u.values, g, u.slots[0], u.slots[1], as(beta1_), as(1.0 - beta1_), as(beta2_), as(1.0 - beta2_),
                     u.count);
    });
    const Direction<T> r = direction(u);
    double values = 0.0, changes = 0.0;
    for (std::int64_t i = 0; i < u.count; ++i) {
      const auto value = static_cast<double>(u.values[i]), change = static_cast<double>(r(i, u.values[i]));
      values += value * value;
      changes += change * change;
    }
    u.sums[0] += values;
    u.sums[1] += changes;
  }

  template <class T>
  void apply(const Update<T>& u) const {
    const double trust = u.sums[0] > 0.0 && u.sums[1] > 0.0 ? std::sqrt(u.sums[0]) / std::sqrt(u.sums[1]) : 1.0;
    step(u.values, direction(u), static_cast<T>(u.rate * trust), u.count);
  }

 private:
  template <class T>
  Direction<T> direction(const Update<T>& u) const {
    const auto t = static_cast<double>(u.step);
    return {.m = u.slots[0],
            .v = u.slots[1],
            .mean_correction = static_cast<T>(1.0 / (1.0 - std::pow(beta1_, t))),
            .variance_correction = static_cast<T>(1.0 / (1.0 - std::pow(beta2_, t))),
            .epsilon = static_cast<T>(epsilon_),
            .decay = static_cast<T>(u.is_weight ? weight_decay_ : 0.0)};
  }

  double beta1_, beta2_, epsilon_, weight_decay_;
};

}  // namespace

OptimizerKind lamb() {
  return {.name = "lamb",
          .doc = "Adam whose steps are as large as the parameter they change",
          .options = with_weight_decay(with_moments(with_rate("0.001")), "0.01"),
          .make = make_rule<Lamb>};
}

}  // namespace backplane::rules
