#pragma once

#include <string>

#include "base/exit_code.h"
#include "experiment/experiment.h"
#include "files/output.h"
#include "generation/generate.h"
#include "run/resume.h"
#include "trainer/trainer.h"

namespace backplane {

/// How a run is carried out; nothing here changes what it computes.
struct RunOptions {
  int threads = 1;
  Arena::Pin pin = Arena::Pin::no;
  std::string directory;                 ///< empty: runs/<name>
  const Output* thread_trace = nullptr;  ///< where the tasks of the first steps go; NULL: nowhere
  Resume resume = Resume::no;
  std::int64_t stop_after = 0;  ///< the run stops behind this step as by a signal; 0: it does not
  bool is_quiet = false;        ///< nothing is said on stderr
  /// The experiment's data, loaded before: taken for the run, and given back where that returns. NULL: the run loads
  /// it.
  DataSet* data = nullptr;
};

/// What a run ended with; summary.json holds the same but `warnings`.
struct RunSummary {
  ExitCode code = ExitCode::ok;  ///< ok, or stopped
  bool was_done = false;         ///< an earlier process had ended the run: nothing was changed
  std::int64_t steps = 0;
  std::int64_t steps_per_epoch = 0;
  Metrics train;
  std::optional<Metrics> validation, test;
  double samples_per_second = 0.0;
  double wall_seconds = 0.0;
  int threads = 1;
  std::string weights_digest;
  std::string directory;
  std::string last_checkpoint;  ///< path
  std::vector<GeneratedText> generated;
  std::vector<std::string> warnings;  ///< of the model, for who runs it quietly
};

/// The pipeline of the whole program: experiment → data → network → trainer → checkpoints, metrics and summary in a
/// run directory. A run that is resumed goes on from its newest checkpoint and ends with the bits, and the lines of
/// metrics.jsonl, that it would have had without the interruption. Throws UserError as its parts do, and io where all
/// went well but the last commit.
RunSummary run_experiment(const Experiment& experiment, const Registry& registry, const RunOptions& options);

}  // namespace backplane
