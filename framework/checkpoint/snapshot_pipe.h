#pragma once

#include "checkpoint/snapshot.h"
#include "sandbox/run_in_child.h"

namespace backplane {

/// Carry a snapshot from the child that read it to its parent.
void send(const Snapshot& snapshot, ChildOutput& output);

/// Takes memory only for what the child may still send. Throws as ChildInput does, and InternalError where what comes
/// is no snapshot.
Snapshot receive_snapshot(ChildInput& input);

}  // namespace backplane
