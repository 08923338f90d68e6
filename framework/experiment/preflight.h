#pragma once

#include "experiment/experiment.h"

namespace backplane {

/// What experiment, data and network must have in common, looked at before a run makes its directory. Throws UserError
/// (bad_config) at the place in the YAML.
void check_before_training(const Experiment& experiment, const DataSet& data, const Network& network);

}  // namespace backplane
