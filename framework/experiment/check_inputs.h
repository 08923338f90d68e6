#pragma once

#include "experiment/experiment.h"

namespace backplane {

/// Looks at the inputs of every split as the network will be given them: scaled, and in the type that it computes in.
/// Throws UserError by their origin where one is not finite in that type, or, where an embedding is fed by the data, no
/// index of its vocabulary. Of a text, it compares the number of symbols instead (bad_config, at the layer).
void check_inputs(const Experiment& experiment, const DataSet& data, const Network& network);

}  // namespace backplane
