#include "optimizers/options.h"
#include "optimizers/rules/scaled_step.h"
#include "optimizers/table.h"

namespace backplane::rules {

namespace {

/// s += g², θ −= η g / (√s + ε)  (Duchi et al. 2011)
class Adagrad : public UpdateRuleOf<Adagrad> {
 public:
  explicit Adagrad(const config::Node& options) : epsilon_(options.at("epsilon").as_number()) {}
  std::vector<std::string> slots() const override { return {"square_sum"}; }
  template <class T>
  void apply(const Update<T>& u) const {
    with_gradient(u.gradient, [&](auto g) {
      scaled_step(u.values, g, u.slots[0], static_cast<T>(u.rate), T(1), T(1), static_cast<T>(epsilon_), u.count);
    });
  }

 private:
  double epsilon_;
};

}  // namespace

OptimizerKind adagrad() {
  return {.name = "adagrad",
          .doc = "AdaGrad",
          .options = with_epsilon(with_rate("0.01"), "1e-10"),
          .make = make_rule<Adagrad>};
}

}  // namespace backplane::rules
