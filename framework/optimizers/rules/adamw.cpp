#include "optimizers/options.h"
#include "optimizers/rules/adam.h"
#include "optimizers/table.h"

namespace backplane::rules {

OptimizerKind adamw() {
  return {.name = "adamw",
          .doc = "Adam with decoupled weight decay",
          .options = with_weight_decay(with_moments(with_rate("0.001")), "0.01"),
          .make = [](const config::Node& options) -> std::unique_ptr<UpdateRule> {
            return std::make_unique<Adam>(options, options.at("weight_decay").as_number());
          }};
}

}  // namespace backplane::rules
