#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace backplane {

/// A checkpoint that stands in MANIFEST.json.
struct CommittedCheckpoint {
  std::string file;  ///< name within the directory
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
};

/// Throws UserError: no_input where there is no manifest; bad_data where it is no manifest of a known version.
Manifest read_manifest(const std::string& directory);

/// Replaces the manifest atomically and durably. Throws UserError (io): the old one stands.
void write_manifest(const std::string& directory, const std::vector<CommittedCheckpoint>& checkpoints);

}  // namespace backplane
