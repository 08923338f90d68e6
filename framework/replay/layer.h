#pragma once

#include "replay/replay.h"
#include "replay/context.h"

namespace backplane {

/// Runs one layer, by itself, and compares. Throws UserError (bad_data) as replay.
ReplayedLayer replay_layer(const ReplayContext& context, std::size_t index);

}  // namespace backplane
