#pragma once

#include <string>

#include "checkpoint/snapshot.h"

namespace backplane {

/// Reads a checkpoint back. Size and SHA-256 are compared with the MANIFEST.json beside the file before HDF5 sees a
/// byte, since HDF5 1.10 crashes on flipped bits; then a child does the reading, in case somebody made the manifest for
/// a file that is to harm (files/isolation.h: no other thread may be inside HDF5). Links out of the file are refused.
///
/// Throws UserError: no_input where the file or its manifest is missing; bad_data where it is in no manifest,
/// differs from it, or is no checkpoint of a known format version.
Snapshot read_checkpoint(const std::string& path);

}  // namespace backplane
