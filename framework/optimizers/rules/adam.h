#pragma once

#include <string>
#include <vector>

#include "config/schema.h"
#include "optimizers/update_rule.h"

namespace backplane::rules {

/// m = β₁ m + (1 − β₁) g, v = β₂ v + (1 − β₂) g², θ −= η m̂ / (√v̂ + ε) with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)
/// (Kingma, Ba 2015). With a decay λ, θ −= η λ θ before, of weights (AdamW: Loshchilov, Hutter 2019).
class Adam : public UpdateRuleOf<Adam> {
 public:
  Adam(const config::Node& options, double weight_decay);
  std::vector<std::string> slots() const override { return {"mean", "variance"}; }
  template <class T>
  void apply(const Update<T>& u) const;

 private:
  double beta1_, beta2_, epsilon_, weight_decay_;
};

}  // namespace backplane::rules
