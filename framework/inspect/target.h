#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace backplane {

/// One that a run's manifest lists.
struct RunCheckpoint {
  std::int64_t step;
  std::string path;
};

/// What a word of the command line names.
struct Target {
  std::string path;
  bool is_run = false;                     ///< a run directory; else a file
  std::optional<std::string> trace;        ///< of a run
  std::optional<std::string> metrics;      ///< of a run
  std::optional<std::string> summary;      ///< of a run
  std::vector<RunCheckpoint> checkpoints;  ///< of a run, by step
};

/// Throws UserError: no_input where there is no such file or directory, or it is no run; bad_data where the run's
/// manifest is damaged.
Target find_target(const std::string& path);

/// How far the bytes of a checkpoint are known to be what was committed.
enum class Standing { verified, unlisted, without_manifest };

/// Compares size and SHA-256 with the MANIFEST.json beside the file, without looking into it. Throws UserError
/// (bad_data) where they differ.
Standing standing_of(const std::string& path);

}  // namespace backplane
