#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "inspect/tensor_file.h"

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
  std::string unlisted{};                  ///< of a run, that no manifest lists the checkpoints that there are; or empty
};

/// Throws UserError: no_input where there is no such file or directory, or it is no run; bad_data where the run's
/// manifest is damaged.
Target find_target(const std::string& path);

struct OpenedTarget {
  TensorFile file;
  bool is_vouched_for;  ///< no checkpoint, or one whose size and SHA-256 are those of the MANIFEST.json beside it
};

/// Opens a checkpoint or a trace. Throws UserError (bad_data), before HDF5 sees a byte, where the file differs from a
/// manifest that lists it; and where a checkpoint is not in the manifest beside it. Where there is no manifest, the
/// caller says so. Runs in a child.
OpenedTarget open_target(const std::string& path);

/// The warning that there is no manifest.
std::string unvouched(const std::string& path);

}  // namespace backplane
