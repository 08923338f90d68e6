#pragma once

#include <string>
#include <vector>

#include "recording/record_options.h"
#include "model_state/catalogue.h"
#include "network/network.h"

namespace backplane {

/// The tensors that taps name, each once, in the order of layers. `loss_gives_delta`: then the last layer has no
/// activation_gradient. `path`: where the taps stand, for messages. Throws UserError (bad_config) where a tap names
/// none: it would never record anything; but for `weights` and `gradients` of a network that has none.
std::vector<LayerTensor> find_taps(const Network& network, bool loss_gives_delta, const std::vector<Tap>& taps,
                                   const std::string& path);

}  // namespace backplane
