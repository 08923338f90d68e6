#include "base/multiversion.h"
#include "optimizers/options.h"
#include "optimizers/table.h"

namespace backplane::rules {

using config::Schema;

namespace {

template <class T, class Gradient>
BP_MULTIVERSION void step(T* __restrict w, Gradient g, T* __restrict m, T rate, T beta1, T added1, T beta2, T added2,
                          T shrink, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T gradient = g(i, w[i]);
    const T direction = beta1 * m[i] + added1 * gradient;
    const T sign = T(direction > T(0)) - T(direction < T(0));
    w[i] = shrink * w[i] - rate * sign;
    m[i] = beta2 * m[i] + added2 * gradient;
  }
}

/// θ −= η (sign(β₁ m + (1 − β₁) g) + λ θ), m = β₂ m + (1 − β₂) g; the decay λ is of weights  (Chen et al. 2023)
class Lion : public UpdateRuleOf<Lion> {
 public:
  explicit Lion(const config::Node& options)
      : beta1_(options.at("beta1").as_number()),
        beta2_(options.at("beta2").as_number()),
        weight_decay_(options.at("weight_decay").as_number()) {}
  std::vector<std::string> slots() const override { return {"mean"}; }
  template <class T>
  void apply(const Update<T>& u) const {
    const auto as = [](double value) { return static_cast<T>(value); };
    const double shrink = 1.0 - (u.is_weight ? u.rate * weight_decay_ : 0.0);
    with_gradient(u.gradient, [&](auto g) {
      step(u.values, g, u.slots[0], as(u.rate), as(beta1_), as(1.0 - beta1_), as(beta2_), as(1.0 - beta2_), as(shrink),
           u.count);
    });
  }

 private:
  double beta1_, beta2_, weight_decay_;
};

}  // namespace

OptimizerKind lion() {
  const Schema decay = Schema::number().at_least(0).below(1);
  return {.name = "lion",
          .doc = "steps of one size, by the sign of a mean",
          .options = with_weight_decay(with_rate("0.0001")
                                           .optional("beta1", decay, "0.9", "weight of the mean in the step")
                                           .optional("beta2", decay, "0.99", "decay of the mean"),
                                       "0"),
          .make = make_rule<Lion>};
}

}  // namespace backplane::rules
