#pragma once

#include <string>

#include "base/error.h"
#include "checkpoint/manifest.h"
#include "checkpoint/snapshot.h"
#include "files/descriptor.h"
#include "sandbox/child_program.h"

namespace backplane {

/// Nothing has the name of a checkpoint, or what has it is no file: known, other than what the system refuses to show.
class NoCheckpoint : public UserError {
 public:
  using UserError::UserError;
};

/// Opens the file of a checkpoint. Throws NoCheckpoint (no_input) where there is none, UserError (no_input or io) where
/// the system does not let it be read.
Descriptor open_checkpoint(const std::string& path);

/// Reads a checkpoint back. Size and SHA-256 are compared with the MANIFEST.json beside the file before HDF5 sees a
/// byte, since HDF5 1.10 crashes on flipped bits; then a child does the reading, in case somebody made the manifest for
/// a file that is to harm (sandbox/run_in_child.h). Links out of the file are refused.
///
/// Throws NoCheckpoint (no_input) where there is none; UserError: bad_data where it is in no manifest, differs from it,
/// or is no checkpoint of a known format version; no_input where its manifest is missing, and no_input or io where the
/// system does not let it be read.
Snapshot read_checkpoint(const std::string& path);
/// The same of one whose entry in the manifest is at hand.
Snapshot read_checkpoint(const std::string& path, const CommittedCheckpoint& promised);

/// What the child of read_checkpoint does.
extern const ChildJob kReadCheckpoint;

}  // namespace backplane
