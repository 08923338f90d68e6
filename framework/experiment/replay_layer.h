#pragma once

#include "experiment/replay.h"
#include "experiment/replay_context.h"

namespace backplane {

/// Runs one layer, by itself, and compares. Throws UserError (bad_data) as replay.
ReplayedLayer replay_layer(const ReplayContext& context, std::size_t index);

}  // namespace backplane
