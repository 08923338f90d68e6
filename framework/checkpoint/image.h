#pragma once

#include <cstddef>
#include <vector>

#include "checkpoint/snapshot.h"

namespace backplane {

/// The HDF5 file of a snapshot as bytes, built in memory: HDF5 never meets a full disk. See FORMAT.md.
/// Called by the I/O thread.
std::vector<std::byte> build_image(const Snapshot& snapshot);

}  // namespace backplane
