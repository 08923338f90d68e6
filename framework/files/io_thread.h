#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

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
  void rethrow_failure();  ///< REQUIRES: mutex_ is held

  static constexpr std::size_t kLongestQueue = 256;  // jobs are small: who hands over memory bounds it

  std::mutex mutex_;
  // Guarded by mutex_:
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::exception_ptr failure_;
  bool busy_ = false;
  bool ending_ = false;
  // Started last, joined first:
  std::thread thread_;
};

}  // namespace backplane
