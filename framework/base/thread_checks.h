#pragma once

#include <atomic>
#include <thread>

#include "base/error.h"

// Which thread may call what is said in comments, in square brackets as in abi.h. Builds that are not for release
// (BP_CHECK_THREADS) check it, as an assertion; in a release these are empty.

namespace backplane {

/// What a thread is doing.
enum class ThreadTag {
  other,    ///< training, or anything else that a program has one thread for
  compute,  ///< a task of the arena
  io        ///< a job of the I/O thread
};

#if BP_CHECK_THREADS

inline thread_local ThreadTag current_thread_tag = ThreadTag::other;

/// What the thread does as long as this lives.
class ThreadTagScope {
 public:
  explicit ThreadTagScope(ThreadTag tag) : before_(current_thread_tag) { current_thread_tag = tag; }
  ~ThreadTagScope() { current_thread_tag = before_; }
  ThreadTagScope(const ThreadTagScope&) = delete;
  ThreadTagScope& operator=(const ThreadTagScope&) = delete;

 private:
  ThreadTag before_;
};

/// Throws InternalError where the thread does that.
#define BP_NOT_ON_THREAD(tag) BP_ASSERT(::backplane::current_thread_tag != ::backplane::ThreadTag::tag)

/// A member of what one thread uses from its first call on, and no other.
class OneThread {
 public:
  /// Throws InternalError in another thread than the one of the first call.
  void check() const {
    std::thread::id first;
    const bool is_first = first_.compare_exchange_strong(first, std::this_thread::get_id());
    BP_ASSERT(is_first || first == std::this_thread::get_id());
  }

 private:
  mutable std::atomic<std::thread::id> first_{};
};

#else

class ThreadTagScope {
 public:
  explicit ThreadTagScope(ThreadTag) {}
};

#define BP_NOT_ON_THREAD(tag) static_cast<void>(0)

class OneThread {
 public:
  void check() const {}
};

#endif

}  // namespace backplane
