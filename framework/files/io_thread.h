#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace backplane {

/// The one thread that writes files: every HDF5 call of a run happens here, so that the library's global lock is
/// never waited for by a worker. Jobs run one by one in the order submitted. The queue is bounded: `submit` waits
/// while it is full, nothing is dropped.
class IoThread {
 public:
  IoThread();
  /// Runs what is queued, then ends. Errors that nobody asked for are lost here: call `drain` before.
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  /// Queues a job. Rethrows the error of an earlier job, if one failed.
  void submit(std::function<void()> job);

  /// Waits until everything submitted is done. Rethrows the error of a job, if one failed.
  void drain();

 private:
  void run();
  /// Waits for one; empty at the end.
  std::function<void()> next_job();
  void rethrow_failure() BP_REQUIRES(mutex_);

  static constexpr std::size_t kLongestQueue = 256;  // jobs are small: who hands over memory bounds it

  Mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_ BP_GUARDED_BY(mutex_);
  std::exception_ptr failure_ BP_GUARDED_BY(mutex_);
  bool busy_ BP_GUARDED_BY(mutex_) = false;
  bool ending_ BP_GUARDED_BY(mutex_) = false;
  // Started last, joined first:
  std::thread thread_;
};

}  // namespace backplane
