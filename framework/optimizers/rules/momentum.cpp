#include "base/multiversion.h"
#include "optimizers/options.h"
#include "optimizers/table.h"

namespace backplane::rules {

namespace {

template <class T, class Gradient>
BP_MULTIVERSION void step(T* __restrict w, Gradient g, T* __restrict v, T rate, T momentum, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    v[i] = momentum * v[i] + g(i, w[i]);
    w[i] -= rate * v[i];
  }
}

/// v = μ v + g, θ −= η v  (Polyak 1964)
class Momentum : public UpdateRuleOf<Momentum> {
 public:
  explicit Momentum(const config::Node& options) : momentum_(options.at("momentum").as_number()) {}
  std::vector<std::string> slots() const override { return {"velocity"}; }
  template <class T>
  void apply(const Update<T>& u) const {
    with_gradient(u.gradient, [&](auto g) {
      step(u.values, g, u.slots[0], static_cast<T>(u.rate), static_cast<T>(momentum_), u.count);
    });
  }

 private:
  double momentum_;
};

}  // namespace

OptimizerKind momentum() {
  return {.name = "momentum",
          .doc = "heavy ball",
          .options = with_momentum(with_rate("0.01")),
          .make = make_rule<Momentum>};
}

}  // namespace backplane::rules
