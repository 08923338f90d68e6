#include "experiment/commits.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace backplane {

void Commits::submit(std::shared_ptr<const Snapshot> snapshot, std::optional<double> validation_loss) {
  io_.submit([this, snapshot = std::move(snapshot), validation_loss] { commit(*snapshot, validation_loss); });
}

void Commits::commit(const Snapshot& snapshot, std::optional<double> validation_loss) {
  try {
    metrics_.sync();
    store_.commit(snapshot, validation_loss);
    last_failure_.reset();
  } catch (const UserError& error) {
    if (error.code() != ExitCode::io) throw;
    last_failure_ = error;
    const std::lock_guard lock(mutex_);
    failures_.push_back(fmt::format("the checkpoint of step {} was not committed: {}", snapshot.step,
                                    error.diagnostics().front().what));
  }
}

std::vector<std::string> Commits::take_failures() {
  const std::lock_guard lock(mutex_);
  return std::exchange(failures_, {});
}

}  // namespace backplane
