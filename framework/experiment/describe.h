#pragma once

#include <string>

#include "experiment/experiment.h"

namespace backplane {

/// A table of the network for `--dry-run`: layer, type, output shape, activation, parameters; then samples and loss.
std::string describe(const Experiment& experiment, const Model& model);

}  // namespace backplane
