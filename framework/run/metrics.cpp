#include "run/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/system_error.h"
#include "files/atomic_write.h"
#include "files/json.h"
#include "files/open_file.h"
#include "files/paths.h"

namespace backplane {

namespace {

[[noreturn]] void fail(const std::string& path, const char* call) {
  throw UserError(ExitCode::io, fmt::format("{}: {} failed: {}", path, call, reason_of(errno)),
                  remedy_of_writing(errno));
}

/// Whether the run has written the line once it stands at `step`, and will not write it again. Nothing where it makes
/// no sense.
std::optional<bool> stays(const std::string& text, std::int64_t step, bool owes_end_of_epoch) {
  const nlohmann::json line = parse_json<nlohmann::json>(text);
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) return std::nullopt;
  const std::string split = line.contains("split") && line["split"].is_string() ? line["split"] : "";
  if (line["step"] != step) return line["step"] < step;
  return split != "test" && (split == "train_batch" || !owes_end_of_epoch);
}

/// Copies the file, durably, to a name beside it that nothing has yet, which is returned.
std::string keep_aside(const std::string& path, std::int64_t step) {
  const OpenedFile opened = open_regular(path, Links::refuse);
  if (!opened) throw system_error(ExitCode::io, path, "cannot be read", opened.error);
  TemporaryFile copy(path);
  std::vector<char> block(1 << 20);
  for (;;) {
    const ssize_t got = ::read(opened.file.number(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(ExitCode::io, path, "cannot be read", errno);
    if (got == 0) break;
    copy.write(block.data(), static_cast<std::size_t>(got));
  }
  copy.sync();
  copy.close();
  std::string aside;
  do aside = free_name(fmt::format("{}.until-{:08}", path, std::max<std::int64_t>(step, 0)));
  while (!copy.take_free_name(aside));
  sync_directory(directory_of(aside));
  return aside;
}

}  // namespace

MetricsFile::MetricsFile(const std::string& path) : path_(path) {
  OpenedFile opened = open_regular(path, Links::refuse, O_WRONLY | O_CREAT | O_APPEND);
  if (!opened) throw UserError(ExitCode::io, fmt::format("{}: {}", path, opened.why), remedy_of_writing(opened.error));
  file_ = std::move(opened.file);
}

void MetricsFile::write(const Line& line) {
  nlohmann::ordered_json json{
      {"step", line.step}, {"epoch", line.epoch}, {"split", line.split}, {"loss", line.metrics.loss}};
  for (const auto& [name, value] : line.metrics.values) json[name] = value;
  if (line.learning_rate) json["lr"] = *line.learning_rate;
  if (line.samples_per_second) json["samples_per_s"] = *line.samples_per_second;
  if (line.digest) json["digest"] = *line.digest;
  for (const auto& [layer, digest] : line.layer_digests) json["layer_digests"][layer] = digest;
  waiting_ += json.dump() + '\n';
  write_waiting();
}

void MetricsFile::write_waiting() {
  while (!waiting_.empty()) {
    const ssize_t written = ::write(file_.number(), waiting_.data(), waiting_.size());
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
  if (::fsync(file_.number()) != 0) fail(path_, "fsync");
}

std::optional<std::string> cut_metrics_back(const std::string& path, std::int64_t step, bool owes_end_of_epoch) {
  OpenedFile opened = open_regular(path, Links::refuse);
  if (opened.is_missing) return std::nullopt;
  const auto require_readable = [&](bool is_fine, const std::string& why) {
    if (!is_fine) throw UserError(ExitCode::io, fmt::format("{}: {}", path, why), "check permissions and the disk");
  };
  require_readable(static_cast<bool>(opened), opened.why);
  InputFile file(std::move(opened.file));
  std::string kept;
  std::int64_t senseless = 0;
  // No line of ours is as long as this; one that is was not written by a run.
  std::vector<char> line(1 << 20);
  while (file.getline(line.data(), static_cast<std::streamsize>(line.size())) || (file.fail() && file.gcount() > 0)) {
    if (file.eof()) break;  // a last line without its end was cut off
    if (!file.fail()) {
      const std::string text(line.data(), static_cast<std::size_t>(file.gcount()) - 1);
      const std::optional<bool> is_kept = stays(text, step, owes_end_of_epoch);
      if (!is_kept) ++senseless;
      if (is_kept.value_or(false)) kept += text + '\n';
      continue;
    }
    ++senseless;
    file.clear();
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  require_readable(!file.bad(), "cannot be read");
  std::optional<std::string> flaw;
  if (senseless > 0)
    flaw =
        fmt::format("{}: {} no sense and will be missing; the file as it was is kept: {}", path,
                    senseless == 1 ? "1 line makes" : fmt::format("{} lines make", senseless), keep_aside(path, step));
  write_file_atomically(path, kept);
  return flaw;
}

}  // namespace backplane
