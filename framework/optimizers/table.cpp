#include "optimizers/table.h"

#include <algorithm>

#include "base/error.h"

namespace backplane {

namespace rules {
OptimizerKind sgd(), momentum(), nesterov(), adagrad(), rmsprop(), adam(), adamw(), lion(), lamb();
}  // namespace rules

const std::vector<OptimizerKind>& optimizers() {
  using namespace rules;
  static const std::vector<OptimizerKind> kAll{sgd(),  momentum(), nesterov(), adagrad(), rmsprop(),
                                               adam(), adamw(),    lion(),     lamb()};
  return kAll;
}

config::Schema optimizer_schema() {
  config::Schema schema = config::Schema::choice("optimizer");
  for (const OptimizerKind& kind : optimizers()) schema.alternative(kind.name, kind.options, kind.doc);
  return schema;
}

std::unique_ptr<UpdateRule> make_update_rule(const config::Node& choice) {
  const auto found = std::ranges::find(optimizers(), choice.chosen(), &OptimizerKind::name);
  BP_ASSERT(found != optimizers().end());
  return found->make(choice.choice());
}

}  // namespace backplane
