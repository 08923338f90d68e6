#include <fmt/format.h>

#include "base/error.h"
#include "initializers/table.h"

namespace backplane::kinds {

namespace {

std::vector<double> as_written(const config::Node& node, const Uninitialized& parameter) {
  config::TensorLiteral literal = config::parse_tensor(node);
  if (literal.shape != parameter.shape)
    throw UserError(
        ExitCode::bad_config,
        Diagnostic{.place = node.place,
                   .what = fmt::format("{} has shape {}, but the values given have shape {}", parameter.owner,
                                       to_string(parameter.shape), to_string(literal.shape))});
  return std::move(literal.values);
}

}  // namespace

InitializerKind values() {
  return {.name = "values", .doc = "the numbers themselves", .options = config::Schema::tensor(), .values = as_written};
}

}  // namespace backplane::kinds
