#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/snapshot.h"

namespace backplane {

/// The directory `checkpoints/` of a run: files that are written once, and MANIFEST.json, which says which of them
/// are complete. A checkpoint that is not in the manifest does not exist. Used by the I/O thread.
class CheckpointStore {
 public:
  /// Makes the directory. `keep`: how many checkpoints stay, the newest ones; at least 1.
  CheckpointStore(std::string directory, std::int64_t keep);

  /// Image in memory → hash → temporary file → fsync → rename → fsync of the directory → manifest likewise. Only when
  /// this returns is the checkpoint committed. Then files beyond `keep` are removed, those of the manifest only.
  /// Throws UserError (io): earlier checkpoints stand.
  CommittedCheckpoint commit(const Snapshot& snapshot);

  const std::vector<CommittedCheckpoint>& committed() const { return committed_; }

 private:
  void write_manifest(const std::vector<CommittedCheckpoint>& checkpoints) const;

  std::string directory_;
  std::int64_t keep_;
  std::vector<CommittedCheckpoint> committed_;
};

}  // namespace backplane
