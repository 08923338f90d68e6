#include "run/commits.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/error.h"

namespace backplane {

void Commits::submit(std::shared_ptr<const Snapshot> snapshot, std::optional<double> validation_loss) {
  thread_.check();
  metrics_.write_waiting();
  if (validation_loss && !std::isfinite(*validation_loss)) validation_loss.reset();  // no loss to be the best by
  {
    MutexLock lock(mutex_);
    while (in_flight_ >= kMostInFlight) lock.wait(committed_);
    ++in_flight_;
  }
  try {
    io_.submit([this, snapshot = std::move(snapshot), validation_loss] { commit(*snapshot, validation_loss); });
  } catch (...) {
    count_down();
    throw;
  }
}

void Commits::count_down() {
  {
    const MutexLock lock(mutex_);
    --in_flight_;
  }
  committed_.notify_one();
}

void Commits::commit(const Snapshot& snapshot, std::optional<double> validation_loss) {
  const std::shared_ptr<void> done(nullptr, [this](void*) { count_down(); });
  try {
    metrics_.sync();
    store_.commit(snapshot, validation_loss);
    last_failure_.reset();
    if (const std::optional<std::string> flaw = store_.take_copy_flaw()) {
      const std::lock_guard lock(mutex_);
      failures_.push_back(fmt::format("the manifest has no copy that would stand in for it: {}", *flaw));
    }
  } catch (const UserError& error) {
    if (error.code() != ExitCode::io) throw;
    last_failure_ = error;
    const MutexLock lock(mutex_);
    failures_.push_back(fmt::format("the checkpoint of step {} was not committed: {}", snapshot.step,
                                    error.diagnostics().front().what));
  }
}

std::vector<std::string> Commits::take_failures() {
  const MutexLock lock(mutex_);
  return std::exchange(failures_, {});
}

}  // namespace backplane
