#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "recording/trace_plan.h"
#include "base/thread_checks.h"
#include "files/io_thread.h"
#include "files/temporary_file.h"
#include "parallel/arena.h"
#include "recorder/record_pool.h"
#include "trainer/trainer.h"

namespace backplane {

/// Records what a plan says: copies tensors, or computes statistics of them, at the right instants of a step, and
/// hands them to the I/O thread. Never changes what is trained. Used by the thread that trains.
class Trace {
 public:
  /// Makes `path`, unless the plan is empty; where the trainer has steps behind it, goes on with the trace of these
  /// steps that it finds there. References must outlive it; `io` is drained before.
  Trace(const std::string& path, const TracePlan& plan, const Network& network, Trainer& trainer, Arena& arena,
        IoThread& io);
  ~Trace();  ///< what was handed over is written first
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  bool is_due(std::int64_t step) const;

  /// While the weights still are those that made z and δ (between backward and update).
  void copy_before_update(const Batch& batch);
  /// Of how many rows ∂C/∂a has to be captured in that step: Trainer::step.
  std::int64_t capture_rows(std::int64_t step) const;
  /// When gradients are complete: the record is handed over.
  void copy_after_update(std::int64_t step);

  /// A point of the curves.
  void add_to_curves(std::int64_t step, const Metrics& metrics, double learning_rate);

  /// What is wrong with the trace of an earlier process: it is not gone on with, or lacks records.
  const std::optional<std::string>& flaw() const { return flaw_; }
  /// Why recording has ended before the run, where it has; once. Training goes on.
  std::optional<std::string> take_failure();
  /// What was recorded as infinite and is not, since record.dtype has no room for it, at the first such step; once.
  std::optional<std::string> take_overflow() { return std::exchange(overflow_, std::nullopt); }
  bool has_failed() const { return has_failed_; }

 private:
  bool take_over(const TemporaryFile& copy);
  void look_for_gap(std::int64_t last_tensors, std::int64_t last_statistics, std::int64_t end);
  void finish_jobs();
  void write(TracePlan::Series series, RecordPool& pool, std::unique_ptr<TraceRecord> record);
  void copy_tensors(bool gradients);
  /// Returns how many finite elements became infinite.
  std::int64_t copy(const LayerTensor& source, void* to) const;
  void look_for_overflow();
  void compute_statistics(bool gradients);

  OneThread thread_;
  const TracePlan plan_;
  const std::string path_;
  const Network& network_;
  Trainer& trainer_;
  Arena& arena_;
  IoThread& io_;
  const TraceLayout layout_;
  RecordPool tensors_, statistics_, curves_;
  std::vector<TensorStatistics> computed_;                   ///< one for each of plan_.statistics
  std::vector<std::size_t> first_column_;                    ///< of each in a record
  std::unique_ptr<TraceRecord> record_, statistics_record_;  ///< of the step that runs; empty where nothing is due
  std::int64_t rows_ = 0;                                    ///< of that step's batch
  std::vector<std::int64_t> skipped_;  ///< steps left out since the last record was handed over (`when_busy: thin`)
  std::optional<std::string> flaw_;
  std::unique_ptr<TraceFile> file_;  ///< the I/O thread's
  std::string failure_;              ///< written before has_failed_, read after
  std::atomic<bool> has_failed_ = false;
  bool is_failure_told_ = false;
  std::optional<std::string> overflow_;
  bool has_overflown_ = false;
};

}  // namespace backplane
