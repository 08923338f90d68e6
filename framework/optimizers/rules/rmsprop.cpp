#include "optimizers/options.h"
#include "optimizers/rules/scaled_step.h"
#include "optimizers/table.h"

namespace backplane::rules {

using config::Schema;

namespace {

/// s = ρ s + (1 − ρ) g², θ −= η g / (√s + ε)  (Tieleman, Hinton 2012)
class Rmsprop : public UpdateRuleOf<Rmsprop> {
 public:
  explicit Rmsprop(const config::Node& options)
      : decay_(options.at("decay").as_number()), epsilon_(options.at("epsilon").as_number()) {}
  std::vector<std::string> slots() const override { return {"square_mean"}; }
  template <class T>
  void apply(const Update<T>& u) const {
    with_gradient(u.gradient, [&](auto g) {
      scaled_step(u.values, g, u.slots[0], static_cast<T>(u.rate), static_cast<T>(decay_), static_cast<T>(1.0 - decay_),
                  static_cast<T>(epsilon_), u.count);
    });
  }

 private:
  double decay_, epsilon_;
};

}  // namespace

OptimizerKind rmsprop() {
  return {.name = "rmsprop",
          .doc = "RMSProp",
          .options = with_epsilon(
              with_rate("0.001").optional("decay", Schema::number().at_least(0).below(1), "0.99", "ρ"), "1e-8"),
          .make = make_rule<Rmsprop>};
}

}  // namespace backplane::rules
