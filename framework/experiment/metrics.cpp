#include "experiment/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "files/atomic_write.h"

namespace backplane {

namespace {

[[noreturn]] void fail(const std::string& path, const char* call) {
  throw UserError(ExitCode::io, fmt::format("{}: {} failed: {}", path, call, std::strerror(errno)),
                  "check free space and permissions of that directory");
}

/// Whether the run has written the line once it stands at `step`, and will not write it again.
bool stays(const std::string& text, std::int64_t step, bool owes_end_of_epoch) {
  const nlohmann::json line = nlohmann::json::parse(text, nullptr, false);
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) return false;
  const std::string split = line.contains("split") && line["split"].is_string() ? line["split"] : "";
  if (line["step"] != step) return line["step"] < step;
  return split != "test" && (split == "train_batch" || !owes_end_of_epoch);
}

}  // namespace

MetricsFile::MetricsFile(const std::string& path)
    : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail(path_, "open");
}

MetricsFile::~MetricsFile() {
  ::close(descriptor_);
}

void MetricsFile::write(const Line& line) {
  nlohmann::ordered_json json{
      {"step", line.step}, {"epoch", line.epoch}, {"split", line.split}, {"loss", line.score.loss}};
  if (line.score.accuracy) json["accuracy"] = *line.score.accuracy;
  if (line.learning_rate) json["lr"] = *line.learning_rate;
  if (line.samples_per_second) json["samples_per_s"] = *line.samples_per_second;
  if (line.digest) json["digest"] = *line.digest;
  for (const auto& [layer, digest] : line.layer_digests) json["layer_digests"][layer] = digest;
  waiting_ += json.dump() + '\n';
  write_waiting();
}

void MetricsFile::write_waiting() {
  while (!waiting_.empty()) {
    const ssize_t written = ::write(descriptor_, waiting_.data(), waiting_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    waiting_.erase(0, static_cast<std::size_t>(written));
  }
}

void MetricsFile::require_all_written() {
  write_waiting();
  if (!waiting_.empty()) fail(path_, "write");
}

void MetricsFile::sync() const {
  if (::fsync(descriptor_) != 0) fail(path_, "fsync");
}

void cut_metrics_back(const std::string& path, std::int64_t step, bool owes_end_of_epoch) {
  if (!std::filesystem::exists(path)) return;
  std::ifstream file(path);
  const auto require_readable = [&](bool is_fine) {
    if (!is_fine) throw UserError(ExitCode::io, path + ": cannot be read", "check permissions and the disk");
  };
  require_readable(file.is_open());
  std::string kept;
  for (std::string line; std::getline(file, line) && !file.eof();)  // a last line without its end was cut off
    if (stays(line, step, owes_end_of_epoch)) kept += line + '\n';
  require_readable(!file.bad());
  write_file_atomically(path, kept);
}

}  // namespace backplane
