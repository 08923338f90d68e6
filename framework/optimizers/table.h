#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "config/schema.h"
#include "optimizers/update_rule.h"

namespace backplane {

/// A row of the table of optimizers.
struct OptimizerKind {
  std::string name;        ///< the word in the YAML
  std::string doc;         ///< one line
  config::Schema options;  ///< with "lr", the learning rate, among them
  std::unique_ptr<UpdateRule> (*make)(const config::Node& options);
};

/// For `make`: a Rule of these options, or of none.
template <class Rule>
std::unique_ptr<UpdateRule> make_rule(const config::Node& options) {
  if constexpr (std::is_default_constructible_v<Rule>)
    return std::make_unique<Rule>();
  else
    return std::make_unique<Rule>(options);
}

/// All of them, as they are shown. Each is one file in rules/ and one row.
const std::vector<OptimizerKind>& optimizers();

/// The schema of `train.optimizer`.
config::Schema optimizer_schema();

/// `choice`: the validated `train.optimizer`.
std::unique_ptr<UpdateRule> make_update_rule(const config::Node& choice);

}  // namespace backplane
