#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "files/descriptor.h"
#include "trainer/trainer.h"

namespace backplane {

/// metrics.jsonl: one JSON object a line, written line by line, readable while the run goes on.
class MetricsFile {
 public:
  /// Appends to the file, which is made where there is none. Throws UserError (io) where it cannot be written.
  explicit MetricsFile(const std::string& path);

  struct Line {
    std::int64_t step = 0;
    double epoch = 0.0;  ///< epochs done, with the fraction of the one that runs
    const char* split = "train";
    Metrics metrics;
    std::optional<double> learning_rate;
    std::optional<double> samples_per_second;
    std::optional<std::string> digest;                               ///< of the weights
    std::vector<std::pair<std::string, std::string>> layer_digests;  ///< layer and digest; empty where nobody asked
  };
  /// What cannot be written, for want of space say, waits for the next call.
  void write(const Line& line);
  /// Throws UserError (io) where lines still wait.
  void require_all_written();
  /// Waits until what was written is on the disk. Throws UserError (io). [any thread]
  void sync() const;

  /// Tries again what could not be written before.
  void write_waiting();

 private:
  std::string path_;
  Descriptor file_;
  std::string waiting_;  ///< lines, or the rest of one
};

/// Takes those lines out of metrics.jsonl, durably, that a run will write again when it goes on from `step`: of later
/// steps, of the end of the run, where `owes_end_of_epoch` also those of the epoch that ended there, and a last one
/// that was cut off. Does nothing where there is no file. `step` -1: all.
///
/// Lines that make no sense go, too; then the file as it was is kept beside it, durably, before anything changes, and a
/// sentence is returned that says how many there were and where it is. Throws UserError (io).
std::optional<std::string> cut_metrics_back(const std::string& path, std::int64_t step, bool owes_end_of_epoch);

}  // namespace backplane
