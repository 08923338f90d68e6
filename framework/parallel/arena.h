#pragma once

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace backplane {

/// The one pool of workers: a oneTBB arena of `threads` slots. Kernels inside a task run on that task's thread
/// alone; libraries that would open an OpenMP team of their own are held to one thread on entry.
///
/// Made and used by the thread that trains. Asking for more threads than cores is allowed. Of two arenas alive at once
/// neither gets more workers than the smaller one asked for.
class Arena {
 public:
  explicit Arena(int threads);

  int threads() const { return threads_; }

  /// Calls body(i) once for each i in [0, n), by any worker, in any order, and returns when all have. An exception
  /// of a body is rethrown here (one of them, if several threw). Must not be called from inside a body.
  void for_each(std::int64_t n, const std::function<void(std::int64_t)>& body);

  /// Inside a body: the slot of the running worker, in [0, threads()). No two bodies share a slot at one time.
  static int worker();

 private:
  /// Holds OpenMP to one thread in each thread that enters the arena.
  class OneKernelThread final : public tbb::task_scheduler_observer {
   public:
    explicit OneKernelThread(tbb::task_arena& arena);
    void on_scheduler_entry(bool is_worker) override;
  };

  int threads_;
  tbb::global_control limit_;  // lets the arena have more threads than cores
  tbb::task_arena arena_;
  OneKernelThread observer_;
  std::vector<char> slots_;  // one address per slot, for race_annotations.h
};

}  // namespace backplane
