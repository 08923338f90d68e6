#include "inspect/target.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/counted.h"
#include "base/system_error.h"
#include "checkpoint/manifest.h"
#include "checkpoint/reader.h"
#include "files/file_digest.h"
#include "files/open_file.h"
#include "files/paths.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw UserError(ExitCode::bad_data, fmt::format("{}: {}", path, why), "use another checkpoint of the run");
}

enum class Standing { verified, unlisted, without_manifest };

Standing standing_of(const std::string& path) {
  const std::string directory = directory_of(path);
  if (!has_manifest(directory)) return Standing::without_manifest;
  for (const CommittedCheckpoint& listed : read_manifest(directory).checkpoints) {
    if (listed.file != fs::path(path).filename().string()) continue;
    const std::size_t bytes = size_of(open_checkpoint(path));
    if (listed.bytes != bytes)
      refuse(path, fmt::format("has {} bytes, its manifest says {}: it is damaged", bytes, listed.bytes));
    if (sha256_of_file(path) != listed.sha256) refuse(path, "its SHA-256 differs from its manifest: it is damaged");
    return Standing::verified;
  }
  return Standing::unlisted;
}

/// Of checkpoints beside which there is no manifest; "" where there are none.
std::string why_unlisted(const fs::path& checkpoints) {
  std::error_code unreadable;
  const auto count = std::ranges::count_if(fs::directory_iterator(checkpoints, unreadable), [](const auto& entry) {
    return step_of_checkpoint_name(entry.path().filename().string()).has_value();
  });
  if (count == 0) return {};
  return fmt::format("{}: no MANIFEST.json lists what stands there: {}", checkpoints.string(),
                     counted(count, "checkpoint"));
}

}  // namespace

Target find_target(const std::string& path) {
  Target target{.path = path};
  std::error_code error;
  const auto fail = [](const std::string& what) {
    throw UserError(ExitCode::no_input, what,
                    "name RUN/checkpoints/step-<8 digits>.h5, RUN/trace.h5, or the directory RUN of a run");
  };
  const auto refuse_missing = [&](const std::string& why) { fail(fmt::format("{}: {}", path, why)); };
  const fs::file_status status = fs::status(path, error);
  if (error) refuse_missing(error.value() == ENOENT ? "no such file or run" : reason_of(error.value()));
  if (fs::exists(status) && ::access(path.c_str(), R_OK) != 0) throw cannot_read(path, errno);
  if (fs::is_regular_file(status)) return target;
  if (!fs::is_directory(status)) refuse_missing("neither a regular file nor a directory");
  target.is_run = true;
  const auto find = [&](const char* name) -> std::optional<std::string> {
    const std::string file = (fs::path(path) / name).string();
    return has_regular(file) ? std::optional(file) : std::nullopt;
  };
  target.trace = find("trace.h5");
  target.metrics = find("metrics.jsonl");
  target.summary = find("summary.json");
  const fs::path checkpoints = fs::path(path) / "checkpoints";
  if (has_directory(checkpoints.string())) {
    if (has_manifest(checkpoints.string()))
      for (const CommittedCheckpoint& listed : read_manifest(checkpoints.string()).checkpoints)
        target.checkpoints.push_back({listed.step, (checkpoints / listed.file).string()});
    else
      target.unlisted = why_unlisted(checkpoints);
  }
  std::ranges::sort(target.checkpoints, {}, &RunCheckpoint::step);
  if (!target.trace && !target.metrics && target.checkpoints.empty()) {
    if (!target.unlisted.empty()) fail(target.unlisted);
    refuse_missing("holds no run");
  }
  return target;
}

OpenedTarget open_target(const std::string& path) {
  const Standing standing = standing_of(path);
  OpenedTarget opened{TensorFile(path), true};
  if (opened.file.is_trace()) return opened;
  if (standing == Standing::unlisted) refuse(path, "is not in MANIFEST.json: it was never committed");
  opened.is_vouched_for = standing == Standing::verified;
  return opened;
}

std::string unvouched(const std::string& path) {
  return path + ": there is no MANIFEST.json beside it: nothing shows that its bytes are those that were written";
}

}  // namespace backplane
