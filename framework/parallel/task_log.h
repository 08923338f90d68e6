#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

namespace backplane {

/// What a task does. The order is that of a training step.
enum class Work : std::uint8_t {
  data,       ///< samples gathered, augmented and scaled
  forward,    ///< layers' forward kernels and activations
  loss,       ///< C, its gradient, right answers
  backward,   ///< layers' backward kernels and derivatives of activations, slice by slice
  gradient,   ///< parameter gradients as products over the whole batch
  reduction,  ///< parts of slices added up
  optimizer,  ///< parameters updated
  pack,       ///< what layers derive from updated parameters
  state,      ///< running statistics, carried states
  recording,  ///< tensors copied for traces and checkpoints
};
constexpr int kWorks = 10;
const char* name_of(Work work);

/// When each task of each worker ran. Off until `start`, and then one comparison a task; on, two readings of the clock
/// and sixteen bytes written. Each worker writes into memory of its own.
class TaskLog {
 public:
  using Clock = std::chrono::steady_clock;

  /// Times are nanoseconds since `start`.
  struct Task {
    Work work;
    std::int32_t layer;  ///< index of the network's layer; -1: none
    std::int32_t part;   ///< number of the slice, or of the tile; -1: none
    std::int64_t begin, end;
  };
  /// A loop whose bodies ran on workers; its caller waited for all of them.
  struct Loop {
    std::int64_t begin, end;
  };
  /// One body of a loop, with all of its tasks.
  struct Body {
    std::int32_t loop, index;
    std::int64_t begin, end;
  };
  struct Track {
    std::vector<Task> tasks;
    std::vector<Body> bodies;
    std::int64_t dropped = 0;  ///< tasks beyond the capacity
  };

  explicit TaskLog(int workers) : tracks_(static_cast<std::size_t>(workers) + 1) {}

  /// Begins anew. `capacity`: tasks that each worker can log; those beyond it are counted only.
  void start(std::size_t capacity);
  /// Ends; what was logged stays until the next start.
  void stop();
  bool is_on() const { return is_on_; }
  /// Whether a worker has logged as much as it can.
  bool is_full() const { return is_on_ && is_full_.load(std::memory_order_relaxed); }

  /// Nanoseconds from start to stop.
  std::int64_t duration() const { return duration_; }
  int workers() const { return static_cast<int>(tracks_.size()) - 1; }
  /// Of a worker; the last is the caller's, for what it does between loops.
  const Track& track(int worker) const { return tracks_[static_cast<std::size_t>(worker)]; }
  const std::vector<Loop>& loops() const { return loops_; }

  /// Logs the time from its construction to its end, on the track of the worker that runs it.
  class Span {
   public:
    Span(TaskLog& log, Work work, std::size_t layer, std::int64_t part)
        : Span(log, work, static_cast<std::int32_t>(layer), static_cast<std::int32_t>(part)) {}
    Span(TaskLog& log, Work work, std::int32_t layer = -1, std::int32_t part = -1)
        : log_(log.is_on() ? &log : nullptr) {
      if (log_ != nullptr) task_ = {work, layer, part, log_->now(), 0};
    }
    ~Span() {
      if (log_ != nullptr) log_->add(task_);
    }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    TaskLog* log_;
    Task task_;
  };

  std::int64_t now() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count();
  }
  /// Logs a loop from its construction to its end, on the caller's side.
  class LoopSpan {
   public:
    explicit LoopSpan(TaskLog& log) : log_(log.is_on() ? &log : nullptr) {
      if (log_ != nullptr) log_->begin_loop();
    }
    ~LoopSpan() {
      if (log_ != nullptr) log_->end_loop();
    }
    LoopSpan(const LoopSpan&) = delete;
    LoopSpan& operator=(const LoopSpan&) = delete;

   private:
    TaskLog* log_;
  };

  /// By a worker, after body `index` of the loop, which began at `begin`.
  void add_body(std::int64_t index, std::int64_t begin);

 private:
  void begin_loop();
  void end_loop();
  void add(Task task);
  Track& own_track();

  bool is_on_ = false, is_in_loop_ = false;
  std::atomic<bool> is_full_ = false;
  std::size_t capacity_ = 0;
  Clock::time_point start_;
  std::int64_t duration_ = 0;
  std::vector<Track> tracks_;
  std::vector<Loop> loops_;
};

}  // namespace backplane
