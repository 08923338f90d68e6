#pragma once

#include <memory>
#include <string>
#include <vector>

#include "experiment/experiment.h"
#include "files/io_thread.h"
#include "recorder/trace_file.h"
#include "trainer/trainer.h"

namespace backplane {

/// Records the taps that an experiment asks for: copies tensors at the right instants of a step and hands them to the
/// I/O thread. Nothing is dropped: where the disk is slower than training, training waits.
class Trace {
 public:
  /// Makes `path`, unless the experiment records nothing over steps.
  Trace(const std::string& path, const Experiment& experiment, const Network& network, Trainer& trainer, IoThread& io, std::int64_t first_step);

  bool is_due(std::int64_t step) const { return every_ > 0 && step % every_ == 0; }

  /// While the weights still are those that made z and δ (between backward and update).
  void copy_before_update(const Batch& batch);
  /// When gradients are complete: the record is handed over.
  void copy_after_update(std::int64_t step);

 private:
  /// Where one tensor of the trace comes from.
  struct Source {
    std::string tap;
    std::size_t node = 0;
    std::size_t item = 0;  ///< which parameter, or which saved tensor
  };

  void add_layer(std::size_t node, const std::string& tap);
  void copy(const Source& source, std::size_t index, std::int64_t rows);

  const Network& network_;
  Trainer& trainer_;
  IoThread& io_;
  std::int64_t every_ = 0;
  std::int64_t samples_ = 0;
  std::vector<Source> sources_;
  std::vector<TraceTensor> tensors_;
  std::shared_ptr<TraceFile> file_;
  std::shared_ptr<TraceRecord> record_;  ///< of the step that runs
};

}  // namespace backplane
