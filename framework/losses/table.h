#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "config/schema.h"
#include "losses/loss_function.h"

namespace backplane {

/// A row of the table of losses.
struct LossKind {
  std::string name;  ///< the word in the YAML
  std::string doc;   ///< the formula
  config::Schema options;
  std::unique_ptr<LossFunction> (*make)(const config::Node& options);
};

/// For `make`: a Function of these options, or of none.
template <class Function>
std::unique_ptr<LossFunction> make_loss(const config::Node& options) {
  if constexpr (std::is_default_constructible_v<Function>)
    return std::make_unique<Function>();
  else
    return std::make_unique<Function>(options);
}

/// All of them, as they are shown. Each is one file in functions/ and one row.
const std::vector<LossKind>& losses();

/// The schema of `network.loss`.
config::Schema loss_schema();

/// `choice`: the validated `network.loss`.
std::unique_ptr<LossFunction> make_loss_function(const config::Node& choice);

}  // namespace backplane
