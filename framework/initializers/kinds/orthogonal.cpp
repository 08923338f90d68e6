#include "initializers/orthogonal.h"

#include "initializers/table.h"

namespace backplane::kinds {

using config::Schema;

/// Saxe et al. 2014
InitializerKind orthogonal() {
  return {.name = "orthogonal",
          .doc = "orthonormal rows (or columns, where there are more rows)",
          .options = Schema::map().optional("gain", Schema::number(), "1", "factor"),
          .values = [](const config::Node& options, const Uninitialized& parameter) {
            return backplane::orthogonal(parameter.shape, options.at("gain").as_number(), parameter.stream);
          }};
}

}  // namespace backplane::kinds
