#pragma once

#include <condition_variable>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/thread_checks.h"
#include "checkpoint/store.h"
#include "run/metrics.h"
#include "files/io_thread.h"

namespace backplane {

/// Commits checkpoints on the I/O thread while training goes on. A commit that fails for want of space or by an error
/// of the disk costs that checkpoint and nothing else: earlier ones stand, the failure is kept to be said, and the next
/// is tried. Called by the training thread.
class Commits {
 public:
  /// References must outlive the jobs on `io`.
  Commits(const std::string& directory, const Retention& retention, MetricsFile& metrics, IoThread& io)
      : store_(directory, retention), metrics_(metrics), io_(io) {}

  /// Hands a snapshot over; waits while two are on their way. Metrics written before are on the disk before the
  /// checkpoint is committed, as far as the disk had room for them.
  void submit(std::shared_ptr<const Snapshot> snapshot, std::optional<double> validation_loss);

  /// Sentences on commits, or copies of their manifest, that failed since the last call.
  std::vector<std::string> take_failures();

  /// REQUIRES of all below: the I/O thread has been drained.
  void forget(const std::vector<RefusedCheckpoint>& refused) { store_.forget(refused); }
  /// Why the last commit failed; empty where it succeeded.
  const std::optional<UserError>& last_failure() const { return last_failure_; }
  const CommittedCheckpoint& newest() const { return store_.committed().back(); }

 private:
  void commit(const Snapshot& snapshot, std::optional<double> validation_loss);
  void count_down();

  static constexpr int kMostInFlight = 2;

  OneThread thread_;

  CheckpointStore store_;  // touched by the I/O thread only, until it is drained
  MetricsFile& metrics_;
  IoThread& io_;
  std::optional<UserError> last_failure_;
  Mutex mutex_;
  std::condition_variable committed_;
  int in_flight_ BP_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> failures_ BP_GUARDED_BY(mutex_);
};

}  // namespace backplane
