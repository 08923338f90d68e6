#pragma once

#include "config/schema.h"

namespace backplane {

/// Options that several rules have. `initial`: the default, as it would be written.

/// "lr", which every rule has: η before any schedule.
config::Schema with_rate(const char* initial);
/// "momentum": μ in [0, 1).
config::Schema with_momentum(config::Schema options);
/// "epsilon": ε > 0.
config::Schema with_epsilon(config::Schema options, const char* initial);
/// "beta1", "beta2", "epsilon", as Adam has them.
config::Schema with_moments(config::Schema options);
/// "weight_decay": λ ≥ 0, of weights.
config::Schema with_weight_decay(config::Schema options, const char* initial);

}  // namespace backplane
