#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

#include "trainer/trainer.h"

namespace backplane {

/// metrics.jsonl: one JSON object a line, flushed line by line, readable while the run goes on.
class MetricsFile {
 public:
  explicit MetricsFile(const std::string& path);

  struct Line {
    std::int64_t step = 0;
    double epoch = 0.0;  ///< epochs done, with the fraction of the one that runs
    const char* split = "train";
    Score score;
    std::optional<double> learning_rate;
    std::optional<double> samples_per_second;
    std::optional<std::string> digest;  ///< of the weights
  };
  /// Throws UserError (io) where the line cannot be written.
  void write(const Line& line);

 private:
  std::string path_;
  std::ofstream file_;
};

}  // namespace backplane
