#pragma once

#include "recording/trace_plan.h"
#include "parallel/arena.h"
#include "trainer/trainer.h"

namespace backplane {

/// What recording costs on this machine, now: medians of a few steps, taken in turns.
struct RecordingCost {
  double step_seconds = 0.0;           ///< of a step that records nothing
  double tensor_record_seconds = 0.0;  ///< that a step takes longer where tensors are recorded, writing included
  double statistics_seconds = 0.0;     ///< the same of statistics
  double share_of_run(const TracePlan& plan, std::int64_t total_steps) const;  ///< 0.1: the run takes a tenth longer
};

/// Trains a few steps, with and without recording them, into a temporary file that is removed: for a look ahead, on a
/// network that nobody needs after it.
RecordingCost measure_recording(const TracePlan& plan, const Network& network, Trainer& trainer, Arena& arena);

}  // namespace backplane
