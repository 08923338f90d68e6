#include "losses/table.h"

#include <algorithm>

#include "base/error.h"

namespace backplane {

namespace functions {
LossKind squared_error(), mean_squared_error(), softmax_cross_entropy(), binary_cross_entropy(), huber();
}  // namespace functions

const std::vector<LossKind>& losses() {
  using namespace functions;
  static const std::vector<LossKind> kAll{squared_error(), mean_squared_error(), softmax_cross_entropy(),
                                          binary_cross_entropy(), huber()};
  return kAll;
}

config::Schema loss_schema() {
  config::Schema schema = config::Schema::choice("loss");
  for (const LossKind& kind : losses()) schema.alternative(kind.name, kind.options, kind.doc);
  return schema;
}

std::unique_ptr<LossFunction> make_loss_function(const config::Node& choice) {
  const auto found = std::ranges::find(losses(), choice.chosen(), &LossKind::name);
  BP_ASSERT(found != losses().end());
  return found->make(choice.choice());
}

}  // namespace backplane
