#pragma once

#include <string>

#include "experiment/experiment.h"
#include "recording/recording_cost.h"
#include "recording/trace_plan.h"

namespace backplane {

/// A table of the network for `--dry-run`: layer, type, output shape, activation, parameters; then samples and loss,
/// and what was concluded of the data.
std::string describe(const Experiment& experiment, const Model& model);

/// What is going to be recorded, at how many steps, how large, and what it costs.
std::string describe_recording(const TracePlan& plan, const RecordingCost& cost, std::int64_t total_steps);

}  // namespace backplane
