#pragma once

#include "checkpoint/snapshot.h"
#include "sandbox/byte_stream.h"

namespace backplane {

/// Carry a snapshot from the child that read it to its parent.
void send(const Snapshot& snapshot, ByteWriter& answer);

/// Takes memory only for what the child may still send. Throws as ByteReader does, and InternalError where what comes
/// is no snapshot.
Snapshot receive_snapshot(ByteReader& answer);

}  // namespace backplane
