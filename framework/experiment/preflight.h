#pragma once

#include "experiment/experiment.h"

namespace backplane {

/// What experiment, data and network must have in common, looked at before a run makes its directory. Throws UserError
/// at the place in the YAML (bad_config) or of the data.
void check_before_training(const Experiment& experiment, const DataSet& data, const Network& network);

/// What is hardly meant so: the warnings of the data, and what goes together all the same; a sentence each, with its
/// place where it has one, for the user to read.
std::vector<std::string> doubts_before_training(const Experiment& experiment, const DataSet& data,
                                                const Network& network, const Loss& loss);

}  // namespace backplane
