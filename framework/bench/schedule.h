#pragma once

#include <cstdint>
#include <vector>

#include "parallel/task_log.h"

namespace backplane {

/// A training step as its schedule sees it: loops of bodies that may run at the same time, and the caller's own work
/// between them. Seconds, as measured on one thread.
struct StepSchedule {
  struct Loop {
    double before = 0.0;  ///< of the caller, before the loop begins
    std::vector<double> bodies;
  };
  std::vector<Loop> loops;
  double after = 0.0;

  double work() const;           ///< of one thread
  double critical_path() const;  ///< of any number of threads
};

/// The median step of a log of `steps` equal steps: durations of the same body are the median over the steps. Empty
/// where the log is not made of equal steps, or dropped anything. REQUIRES: one worker.
StepSchedule median_step(const TaskLog& log, std::int64_t steps);

/// What threads cost each other, from measurements on this machine.
struct ThreadCosts {
  double loop = 0.0;  ///< seconds that a loop costs, for each doubling of the threads
  /// By how much bodies are longer because others wrote what they read, on very many threads: on n, a line was last
  /// written by another with probability 1 − 1/n.
  double sharing = 0.0;
  double step_bytes = 0.0;  ///< that a step moves to and from memory at least
  double bandwidth = 0.0;   ///< bytes/s of the memory of the machine; 0: of no account
};

/// Seconds of a step on `threads` threads: whoever is free takes the next body (Graham, Bounds on multiprocessing
/// timing anomalies, 1969), and a step is never faster than its bytes.
double simulate(const StepSchedule& schedule, int threads, const ThreadCosts& costs);

}  // namespace backplane
