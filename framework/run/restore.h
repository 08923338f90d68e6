#pragma once

#include "checkpoint/snapshot.h"
#include "trainer/trainer.h"

namespace backplane {

/// Writes where training stands into /state of a snapshot; `restore` reads it back.
void store_state(const Trainer& trainer, Snapshot& snapshot);

/// Puts training back to where the snapshot was taken: parameters, optimizer slots, what layers keep from step to
/// step, and TrainState. `network` is the trainer's. What follows has the bits that would have followed then.
///
/// Throws UserError (bad_data) naming every tensor that is missing, too much or of another shape or type; then nothing
/// has been changed.
void restore(const Snapshot& snapshot, Network& network, Trainer& trainer);

}  // namespace backplane
