#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/snapshot.h"

namespace backplane {

/// A checkpoint that was looked at and not used.
struct RefusedCheckpoint {
  std::string file;  ///< name within the directory; empty for an entry of the manifest that makes no sense
  std::string why;   ///< a sentence, naming the file
};

/// Why each was not used; of a great many, the first and how many more there are.
std::vector<std::string> told(const std::vector<RefusedCheckpoint>& refused);

/// The newest checkpoint of a directory that is whole.
struct NewestCheckpoint {
  Snapshot snapshot;
  CommittedCheckpoint from;
  std::vector<RefusedCheckpoint> refused;  ///< newer ones that are damaged or missing; the caller says so aloud
};

/// Goes through MANIFEST.json from the newest step to the oldest; size and SHA-256 of each file are compared before
/// HDF5 sees a byte. What is in no manifest does not exist. Changes nothing on disk.
///
/// Throws UserError: no_input where there is no manifest; bad_data where it is damaged, or where none of its
/// checkpoints is whole (all reasons are in the message).
NewestCheckpoint read_newest_checkpoint(const std::string& directory);

/// Which checkpoints stay when newer ones are committed. The newest always does.
struct Retention {
  std::int64_t keep = 3;         ///< the newest so many; at least 1
  std::int64_t every_steps = 0;  ///< those of its multiples as well; 0: none
  bool best = false;             ///< that of the lowest validation loss as well
};

/// The directory `checkpoints/` of a run: files that are written once, and MANIFEST.json, which says which of them
/// are complete. A checkpoint that is not in the manifest does not exist. Used by one thread at a time.
class CheckpointStore {
 public:
  /// Makes the directory, or takes over what an earlier process of the run committed there, and removes temporary
  /// files that dead processes left. Throws UserError as read_manifest does, but that no manifest is no error.
  CheckpointStore(std::string directory, const Retention& retention);

  /// Image in memory → hash → is there room? → temporary file → fsync → read back → rename → fsync of the directory →
  /// manifest likewise. Only when this returns is the checkpoint committed. Then those that nothing keeps are removed,
  /// files of the manifest only; what cannot be removed is tried again after the next commit. A step that is committed
  /// already is not written again; its `validation_loss` is noted. `validation_loss`: of exactly these weights, where
  /// it is known. Throws UserError (io): earlier checkpoints stand, and the next call tries anew.
  CommittedCheckpoint commit(const Snapshot& snapshot, std::optional<double> validation_loss = {});

  /// Why the copy of the manifest could not be written; empty where it could, or this was said before.
  std::optional<std::string> take_copy_flaw();

  /// Takes checkpoints that turned out to be damaged out of the manifest, so that their steps can be committed again.
  /// The files stay until then. Throws UserError (io).
  void forget(const std::vector<RefusedCheckpoint>& refused);

  /// Whether the store writes files of that name.
  static bool is_ours(const std::string& name);

  const std::vector<CommittedCheckpoint>& committed() const { return committed_; }

 private:
  void publish(std::vector<CommittedCheckpoint> checkpoints, const std::vector<CommittedCheckpoint>& unkept = {});
  void remove_leaving();
  void take_back(const std::string& file);

  std::string directory_;
  Retention retention_;
  std::vector<CommittedCheckpoint> committed_;  ///< as the manifest on disk has them, oldest first
  std::string copy_flaw_;                       ///< of the last attempt to write the manifest's copy
  bool is_copy_flaw_told_ = false;
  std::vector<std::string> leaving_;  ///< files that are to be removed once the manifest does not name them
};

}  // namespace backplane
