#pragma once

#include <string>

#include "base/exit_code.h"
#include "experiment/experiment.h"
#include "experiment/generate.h"
#include "trainer/trainer.h"

namespace backplane {

/// How a run is carried out; nothing here changes what it computes.
struct RunOptions {
  int threads = 1;
  Arena::Pin pin = Arena::Pin::no;
  std::string directory;     ///< empty: runs/<name>
  std::string thread_trace;  ///< where the tasks of the first steps go; empty: nowhere
};

/// What a run ended with; summary.json holds the same.
struct RunSummary {
  ExitCode code = ExitCode::ok;  ///< ok, or stopped
  std::int64_t steps = 0;
  Score train;
  std::optional<Score> validation, test;
  double samples_per_second = 0.0;
  double wall_seconds = 0.0;
  int threads = 1;
  std::string weights_digest;
  std::string directory;
  std::string last_checkpoint;  ///< path
  std::vector<GeneratedText> generated;
};

/// The pipeline of the whole program: experiment → data → network → trainer → checkpoints, metrics and summary in a
/// run directory. Throws UserError as its parts do.
RunSummary run_experiment(const Experiment& experiment, const Registry& registry, const RunOptions& options);

}  // namespace backplane
