#pragma once

#include <sched.h>

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "parallel/task_log.h"

namespace backplane {

/// The one pool of workers: a oneTBB arena of `threads` slots. Kernels inside a task run on that task's thread
/// alone; libraries that would open an OpenMP team of their own are held to one thread on entry.
///
/// Made and used by the thread that trains. Asking for more threads than cores is allowed.
class Arena {
 public:
  /// Whether each worker stays on a core of its own, as far as there are cores.
  enum class Pin { no, yes };

  explicit Arena(int threads, Pin pin = Pin::no);

  int threads() const { return threads_; }

  /// Calls body(i) once for each i in [0, n), by any worker, in any order, and returns when all have. An exception
  /// of a body is rethrown here (one of them, if several threw). Must not be called from inside a body.
  template <class Body>
  void for_each(std::int64_t n, const Body& body) {
    run(
        n, [](const void* context, std::int64_t i) { (*static_cast<const Body*>(context))(i); }, &body);
  }

  /// Inside a body: the slot of the running worker, in [0, threads()). No two bodies share a slot at one time.
  static int worker();

  /// From now on bodies start in a random order and after random delays, drawn from `seed`: what must not change a
  /// result.
  void disturb(std::uint64_t seed) { disturbance_.emplace(seed); }

  /// Of the tasks that run here; off at first.
  TaskLog& log() { return log_; }

 private:
  void run(std::int64_t n, void (*call)(const void* context, std::int64_t i), const void* context);

  /// Holds OpenMP to one thread in each thread that enters the arena, and the thread to its core.
  class WorkerSetup final : public tbb::task_scheduler_observer {
   public:
    WorkerSetup(tbb::task_arena& arena, Pin pin);
    ~WorkerSetup() override;
    void on_scheduler_entry(bool is_worker) override;
    void on_scheduler_exit(bool is_worker) override;

   private:
    cpu_set_t allowed_;
    std::vector<int> cores_;  ///< empty: not pinned
  };

  /// Lets arenas have more threads than cores, as many as the largest one alive.
  class Limit {
   public:
    explicit Limit(int threads);
    ~Limit();
    Limit(const Limit&) = delete;
    Limit& operator=(const Limit&) = delete;

   private:
    int threads_;
  };

  int threads_;
  Limit limit_;
  tbb::task_arena arena_;
  WorkerSetup setup_;
  TaskLog log_;
  std::optional<std::mt19937_64> disturbance_;
  std::vector<char> slots_;  // one address per slot, for race_annotations.h
};

}  // namespace backplane
