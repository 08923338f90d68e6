#pragma once

#include <string>
#include <vector>

#include "experiment/record_options.h"
#include "network/network.h"
#include "trainer/executor.h"

namespace backplane {

/// A tensor of a running network that can be looked at.
struct TapSource {
  std::string tap;   ///< "delta", "weights", or a name that a plug-in declared
  std::string name;  ///< within the layer: "delta", "weights/W"
  std::size_t node = 0;
  std::size_t item = 0;  ///< which parameter, or which saved tensor
  Shape shape;           ///< of one sample; of a parameter, the whole
  bool is_per_sample = true;
  std::vector<std::string> axes;  ///< of the whole tensor, "sample" included
};

/// The tensors that taps name, each once, in the order of layers. Throws UserError (bad_config) where a tap names
/// none: it would never record anything; but for `weights` and `gradients` of a network that has none. `path`: where
/// the taps stand, for messages.
std::vector<TapSource> find_taps(const Network& network, const std::vector<Tap>& taps, const std::string& path);

/// Where it lies: z, δ and gradients after a pass that kept them.
const void* data_of(const TapSource& source, const Network& network, const Executor& executor);

}  // namespace backplane
