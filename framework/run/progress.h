#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "trainer/trainer.h"

namespace backplane {

/// What a person sees of a run, on stderr: on a terminal one line that is rewritten a few times a second, elsewhere a
/// plain line an epoch. NO_COLOR is respected by having no colours. Training never waits for who reads it: what cannot
/// be shown is shown later, or left out.
class Progress {
 public:
  /// `first_step`: steps that were done before this process began. `is_quiet`: nothing is printed at all.
  Progress(std::int64_t total_steps, std::int64_t steps_per_epoch, std::int64_t first_step = 0, bool is_quiet = false);

  /// Waits until what was said is read.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// After each step; cheap when there is nothing to show.
  void step(std::int64_t step, const Metrics& batch, std::int64_t samples_done);
  /// A whole line that stays: the end of an epoch.
  void epoch(std::int64_t epoch, const Metrics& train, const std::optional<Metrics>& validation,
             double samples_per_second);
  /// Takes the rewritten line away, before something else is printed.
  void erase_line();
  /// Any other message that stays.
  void say(const std::string& message);

 private:
  using Clock = std::chrono::steady_clock;

  const std::int64_t total_steps_;
  const std::int64_t steps_per_epoch_;
  const std::int64_t first_step_;
  const bool is_quiet_;
  const bool is_terminal_;
  const Clock::time_point start_;
  Clock::time_point shown_;
  bool has_line_ = false;
  Metrics smoothed_;
};

}  // namespace backplane
