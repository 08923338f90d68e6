#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "run/resume.h"
#include "run/run.h"
#include "run/run_directory.h"
#include "recording/trace_plan.h"

namespace backplane {

/// What is known of a run before anything is trained: model, directory, and the checkpoint to go on from. Nothing that
/// an earlier process of the run wrote has been changed when it is made.
struct Beginning {
  /// Throws UserError as its parts do, and where a strict resume minds what differs. Up to where the directory is made,
  /// a signal ends the process at once (see StopSignals).
  Beginning(const Experiment& experiment, const Registry& registry, const RunOptions& options);

  /// Whether an earlier process ended the run that is asked for.
  bool is_done() const;
  /// Steps that were done before.
  std::int64_t step() const { return checkpoint ? checkpoint->snapshot.step : 0; }

  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  const std::string versions;
  Model model;
  nlohmann::ordered_json environment;
  const TracePlan plan;
  std::optional<RunDirectory> directory;  ///< never empty; made only when all that can be checked has been
  std::optional<NewestCheckpoint> checkpoint;
  Differences differences;
  std::optional<std::string> metrics_flaw;  ///< of metrics.jsonl, as an earlier process left it
};

}  // namespace backplane
