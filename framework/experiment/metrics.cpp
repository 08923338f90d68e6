#include "experiment/metrics.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace backplane {

MetricsFile::MetricsFile(const std::string& path) : path_(path), file_(path, std::ios::app) {
  if (!file_) throw UserError(ExitCode::io, fmt::format("{}: cannot be written", path));
}

void MetricsFile::write(const Line& line) {
  nlohmann::ordered_json json{
      {"step", line.step}, {"epoch", line.epoch}, {"split", line.split}, {"loss", line.score.loss}};
  if (line.score.accuracy) json["accuracy"] = *line.score.accuracy;
  if (line.learning_rate) json["lr"] = *line.learning_rate;
  if (line.samples_per_second) json["samples_per_s"] = *line.samples_per_second;
  if (line.digest) json["digest"] = *line.digest;
  file_ << json.dump() << '\n' << std::flush;
  if (!file_) throw UserError(ExitCode::io, fmt::format("{}: cannot be written", path_), "is the disk full?");
}

}  // namespace backplane
