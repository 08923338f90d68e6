#include "base/multiversion.h"
#include "optimizers/options.h"
#include "optimizers/table.h"

namespace backplane::rules {

namespace {

template <class T, class Gradient>
BP_MULTIVERSION void step(T* __restrict w, Gradient g, T rate, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) w[i] -= rate * g(i, w[i]);
}

/// θ −= η g
class Sgd : public UpdateRuleOf<Sgd> {
 public:
  template <class T>
  void apply(const Update<T>& u) const {
    with_gradient(u.gradient, [&](auto g) { step(u.values, g, static_cast<T>(u.rate), u.count); });
  }
};

}  // namespace

OptimizerKind sgd() {
  return {.name = "sgd", .doc = "gradient descent", .options = with_rate("0.01"), .make = make_rule<Sgd>};
}

}  // namespace backplane::rules
