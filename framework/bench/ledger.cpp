#include "bench/ledger.h"

#include <numeric>

namespace backplane {

double Ledger::whole() const {
  return std::accumulate(works.begin(), works.end(), imbalance + serial);
}

Ledger make_ledger(const TaskLog& log) {
  constexpr double kSeconds = 1e-9;
  const int threads = log.workers();
  Ledger ledger;
  double busy = 0.0, in_loops = 0.0, between = 0.0;
  for (int worker = 0; worker <= threads; ++worker)
    for (const TaskLog::Task& task : log.track(worker).tasks) {
      const bool is_caller = worker == threads;
      const double seconds = kSeconds * static_cast<double>(task.end - task.begin) * (is_caller ? threads : 1);
      ledger.works[static_cast<std::size_t>(task.work)] += seconds;
      (is_caller ? between : busy) += seconds;
    }
  for (const TaskLog::Loop& loop : log.loops()) in_loops += kSeconds * static_cast<double>(loop.end - loop.begin);
  ledger.imbalance = in_loops * threads - busy;
  ledger.serial = (kSeconds * static_cast<double>(log.duration()) - in_loops) * threads - between;
  return ledger;
}

}  // namespace backplane
