#include "initializers/each_element.h"

namespace backplane::kinds {

using config::Schema;

InitializerKind uniform() {
  return {.name = "uniform",
          .doc = "uniform in [low, high)",
          .options = Schema::map()
                         .optional("low", Schema::number(), "-0.05", "lower end")
                         .optional("high", Schema::number(), "0.05", "upper end"),
          .values = [](const config::Node& options, const Uninitialized& parameter) {
            return uniform_between(parameter, options.at("low").as_number(), options.at("high").as_number());
          }};
}

InitializerKind normal() {
  return {.name = "normal",
          .doc = "normal distribution",
          .options = Schema::map()
                         .optional("mean", Schema::number(), "0", "mean")
                         .optional("std", Schema::number().at_least(0), "0.05", "standard deviation"),
          .values = [](const config::Node& options, const Uninitialized& parameter) {
            return normal_around(parameter, options.at("mean").as_number(), options.at("std").as_number());
          }};
}

}  // namespace backplane::kinds
