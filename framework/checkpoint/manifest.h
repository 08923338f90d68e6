#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace backplane {

/// A checkpoint that stands in MANIFEST.json.
struct CommittedCheckpoint {
  std::string file;  ///< name within the directory: checkpoint_name(step)
  std::int64_t step = 0;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::optional<double> validation_loss;  ///< of exactly these weights, where it was evaluated
};

/// What MANIFEST.json of a directory says. See FORMAT.md.
struct Manifest {
  std::vector<CommittedCheckpoint> checkpoints;  ///< in the order listed: oldest first
  /// Entries that make no sense, and why: damage, or somebody's editor. They name no checkpoint.
  std::vector<std::string> unusable;
  /// Files that the store was about to remove when this was written: no checkpoints any more, by their names as well.
  std::vector<std::string> removing;
};

/// "step-00000012.h5": eight digits, or as many as the step has.
std::string checkpoint_name(std::int64_t step);
/// The step of such a name; none of any other.
std::optional<std::int64_t> step_of_checkpoint_name(const std::string& name);

/// Whether there is a manifest, or the copy of one.
bool has_manifest(const std::string& directory);

/// Where MANIFEST.json is missing or damaged, its copy is read, and `unusable` begins with why.
/// Throws UserError: no_input where there is neither; bad_data where neither is a whole manifest of a known version; io
/// where one that is needed cannot be opened or read.
Manifest read_manifest(const std::string& directory);

/// The newest checkpoint that the manifest's copy on the disk names; empty where there is no copy that could be read.
/// Throws UserError (io) where that cannot be said.
std::string newest_in_manifest_copy(const std::string& directory);

/// Replaces the manifest atomically and durably. Throws UserError (io): no caller may then rely on the new one, though
/// it may stand.
void write_manifest(const std::string& directory, const Manifest& manifest);

/// Likewise its copy, which stands in for it where it is damaged.
void write_manifest_copy(const std::string& directory, const Manifest& manifest);

}  // namespace backplane
