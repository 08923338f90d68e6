#include "optimizers/options.h"

namespace backplane {

using config::Schema;

Schema with_rate(const char* initial) {
  return Schema::map().optional("lr", Schema::number().above(0), initial, "learning rate η");
}

Schema with_momentum(Schema options) {
  return options.optional("momentum", Schema::number().at_least(0).below(1), "0.9", "μ");
}

Schema with_epsilon(Schema options, const char* initial) {
  return options.optional("epsilon", Schema::number().above(0), initial, "ε, keeps the quotient finite");
}

Schema with_moments(Schema options) {
  return with_epsilon(options.optional("beta1", Schema::number().at_least(0).below(1), "0.9", "decay of the mean")
                          .optional("beta2", Schema::number().at_least(0).below(1), "0.999", "decay of the variance"),
                      "1e-8");
}

Schema with_weight_decay(Schema options, const char* initial) {
  return options.optional("weight_decay", Schema::number().at_least(0), initial, "λ, of weights");
}

}  // namespace backplane
