#pragma once

#include <condition_variable>
#include <mutex>

// What clang checks with -Wthread-safety (preset `thread-safety`): that data is touched by who holds its mutex only.
#if defined(__clang__)
#define BP_THREAD_ANNOTATION(attribute) __attribute__((attribute))
#else
#define BP_THREAD_ANNOTATION(attribute)
#endif
/// Behind a variable: read and written by who holds the mutex.
#define BP_GUARDED_BY(mutex) BP_THREAD_ANNOTATION(guarded_by(mutex))
/// Behind a function's parameters: called by who holds the mutex.
#define BP_REQUIRES(mutex) BP_THREAD_ANNOTATION(requires_capability(mutex))
/// A function that the check cannot follow.
#define BP_NOT_FOLLOWED BP_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace backplane {

/// std::mutex, known to that check.
class BP_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() BP_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() BP_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  friend class MutexLock;
  std::mutex mutex_;
};

/// Holds a mutex as long as it lives.
class BP_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) BP_THREAD_ANNOTATION(acquire_capability(mutex)) : lock_(mutex.mutex_) {}
  ~MutexLock() BP_THREAD_ANNOTATION(release_capability()) = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  /// Gives the mutex up until `changed` is notified, and holds it again on return. Returns without reason, too: the
  /// caller asks for what it waits for in a loop.
  void wait(std::condition_variable& changed) { changed.wait(lock_); }

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace backplane
