#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "experiment/experiment.h"

namespace backplane {

/// One interruption that was tried.
struct ResumeTrial {
  std::int64_t step = 0;                 ///< after which the run was interrupted
  int threads_before = 1;                ///< it runs on as many up to there,
  int threads_after = 1;                 ///< and on as many from there on
  std::vector<std::string> differences;  ///< from the uninterrupted run, a sentence each; empty: equal bit for bit
};

struct ResumeReport {
  ExitCode code = ExitCode::ok;  ///< internal where a trial differs; stopped where a signal ended the trials
  std::int64_t steps = 0;
  std::string weights_digest;         ///< of the uninterrupted run
  std::vector<std::string> warnings;  ///< of what is hardly meant so, as before a run
  std::vector<ResumeTrial> trials;
};

/// Trains `steps` steps (no more than the experiment has) uninterrupted, and again with an interruption after each of
/// a few of them, through the checkpoint files of real runs in a temporary directory, which is gone at the end.
/// The data is loaded once. Compares the checkpoints that they end with, tensor by tensor, and the lines of
/// metrics.jsonl. Throws as run_experiment does.
ResumeReport verify_resume(const Experiment& experiment, const Registry& registry, std::int64_t steps, int threads);

}  // namespace backplane
