#pragma once

#include "checkpoint/snapshot.h"
#include "experiment/experiment.h"
#include "trainer/trainer.h"

namespace backplane {

/// Copies the state of training at a step boundary: parameters and optimizer slots as they are, and z, activation,
/// δ and gradients of the batch of the next step, computed with exactly these parameters and without changing them.
/// A file made from it is consistent in itself: its δ belong to its weights.
Snapshot take_snapshot(const Experiment& experiment, const Network& network, const DataSet& data, Trainer& trainer,
                       const std::string& environment);

}  // namespace backplane
