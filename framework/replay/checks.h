#pragma once

#include <string>

#include "checkpoint/snapshot.h"
#include "experiment/experiment.h"
#include "network/network.h"
#include "plugin_host/registry.h"

namespace backplane {

// What nobody but the checkpoint vouches for, before memory is laid out by it and layers run on it. `source`: its path.

/// Throws UserError (bad_config) where a layer's type is in no plug-in that is there: which one computed it, says the
/// checkpoint.
void check_plugins(const Snapshot& snapshot, const std::string& source, const Registry& registry);

/// Throws UserError: usage where there is no layer `only` (empty: all are wanted), bad_data where the layers are not
/// those that /config makes.
void check_layers(const Snapshot& snapshot, const std::string& source, const Network& network, const std::string& only);

/// Throws UserError (bad_data) where rows, lengths, targets or types do not fit each other and the network.
void check_numbers(const Snapshot& snapshot, const std::string& source, const Experiment& experiment,
                   const Network& network);

/// NULL where the layer has none.
const StoredTensor* find_stored(const StoredLayer& layer, const std::string& name);

/// A stored tensor that the layer, as it is planned now, has with this shape. Throws UserError (bad_data).
const StoredTensor& require_stored(const StoredLayer& layer, const std::string& name, const Shape& shape, DType dtype,
                                   const std::string& source);

/// Throws UserError (bad_data): the plug-in that is there plans the layer otherwise than the one that was recorded.
[[noreturn]] void fail_foreign(const std::string& source, const std::string& layer, const std::string& what);

}  // namespace backplane
