#pragma once

#include <array>

#include "parallel/task_log.h"

namespace backplane {

/// Where the time of all threads went: seconds of thread time, whose sum is threads × wall time.
struct Ledger {
  std::array<double, kWorks> works{};  ///< by Work
  double imbalance = 0.0;  ///< threads without a task while others of the same loop had one, and what loops cost
  double serial = 0.0;     ///< threads that waited for the caller between loops

  double of(Work work) const { return works[static_cast<std::size_t>(work)]; }
  /// Kernels and what goes with them: forward, loss, backward, gradient.
  double compute() const { return of(Work::forward) + of(Work::loss) + of(Work::backward) + of(Work::gradient); }
  double whole() const;
};

/// What a stopped log holds. What the caller does between loops counts for every thread: all of them wait for it.
Ledger make_ledger(const TaskLog& log);

}  // namespace backplane
