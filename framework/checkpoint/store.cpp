#include "checkpoint/store.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <limits>
#include <regex>

#include "base/error.h"
#include "checkpoint/image.h"
#include "checkpoint/reader.h"
#include "files/atomic_write.h"
#include "files/digest.h"

namespace backplane {

namespace fs = std::filesystem;

NewestCheckpoint read_newest_checkpoint(const std::string& directory) {
  const Manifest manifest = read_manifest(directory);
  NewestCheckpoint newest;
  for (const std::string& why : manifest.unusable) newest.refused.push_back({.file = "", .why = why});
  std::vector<CommittedCheckpoint> from_newest(manifest.checkpoints.rbegin(), manifest.checkpoints.rend());
  std::ranges::stable_sort(from_newest, std::ranges::greater{}, &CommittedCheckpoint::step);
  for (const CommittedCheckpoint& checkpoint : from_newest) try {
      newest.snapshot = read_checkpoint((fs::path(directory) / checkpoint.file).string());
      if (newest.snapshot.step != checkpoint.step)
        throw UserError(ExitCode::bad_data, fmt::format("{}: is of step {}, its manifest says {}", checkpoint.file,
                                                        newest.snapshot.step, checkpoint.step));
      newest.from = checkpoint;
      return newest;
    } catch (const UserError& error) {  // missing, damaged, or of another version: an older one may do
      newest.refused.push_back({.file = checkpoint.file, .why = error.diagnostics().front().what});
    }
  std::string reasons;
  for (const RefusedCheckpoint& refused : newest.refused) reasons += "\n  " + refused.why;
  throw UserError(ExitCode::bad_data, fmt::format("{}: no checkpoint of it is whole{}", directory, reasons),
                  "take the files from a backup, or begin anew elsewhere with --out");
}

namespace {

/// Takes those out of `checkpoints`, oldest first, that nothing keeps, and returns them.
std::vector<CommittedCheckpoint> take_unkept(std::vector<CommittedCheckpoint>& checkpoints,
                                             const Retention& retention) {
  const auto loss = [](const CommittedCheckpoint& checkpoint) {
    return checkpoint.validation_loss.value_or(std::numeric_limits<double>::infinity());
  };
  const std::int64_t best = std::ranges::min_element(checkpoints, {}, loss)->step;
  std::vector<CommittedCheckpoint> staying, leaving;
  for (auto checkpoint = checkpoints.begin(); checkpoint != checkpoints.end(); ++checkpoint) {
    const bool is_new = checkpoints.end() - checkpoint <= retention.keep;
    const bool is_milestone = retention.every_steps > 0 && checkpoint->step % retention.every_steps == 0;
    const bool is_best = retention.best && checkpoint->validation_loss && checkpoint->step == best;
    (is_new || is_milestone || is_best ? staying : leaving).push_back(*checkpoint);
  }
  checkpoints = std::move(staying);
  return leaving;
}

}  // namespace

CheckpointStore::CheckpointStore(std::string directory, const Retention& retention)
    : directory_(std::move(directory)), retention_(retention) {
  make_directories_durably(directory_);
  static const std::regex ours("step-[0-9]{8,}\\.h5|MANIFEST\\.json");
  remove_dead_temporary_files(directory_, [](const std::string& name) { return std::regex_match(name, ours); });
  if (fs::exists(fs::path(directory_) / "MANIFEST.json")) committed_ = read_manifest(directory_).checkpoints;
  std::ranges::stable_sort(committed_, {}, &CommittedCheckpoint::step);
}

CommittedCheckpoint CheckpointStore::commit(const Snapshot& snapshot, std::optional<double> validation_loss) {
  const auto same = std::ranges::find(committed_, snapshot.step, &CommittedCheckpoint::step);
  std::vector<CommittedCheckpoint> staying = committed_;
  if (same != committed_.end()) {
    // Its bytes are as good; to write over the only good file would be the one way to lose it.
    CommittedCheckpoint& known = staying[static_cast<std::size_t>(same - committed_.begin())];
    if (!validation_loss || known.validation_loss == validation_loss) return known;
    known.validation_loss = validation_loss;
    write_manifest(directory_, staying);
    committed_ = std::move(staying);
    return committed_[static_cast<std::size_t>(same - committed_.begin())];
  }
  const std::vector<std::byte> image = build_image(snapshot);
  CommittedCheckpoint checkpoint{.file = fmt::format("step-{:08}.h5", snapshot.step),
                                 .step = snapshot.step,
                                 .bytes = image.size(),
                                 .sha256 = sha256_of(image.data(), image.size()),
                                 .validation_loss = validation_loss};
  require_room(image.size());
  write_file_atomically((fs::path(directory_) / checkpoint.file).string(), image.data(), image.size(), ReadBack::yes);
  const auto place = std::ranges::upper_bound(staying, checkpoint.step, {}, &CommittedCheckpoint::step);
  staying.insert(place, checkpoint);
  const std::vector<CommittedCheckpoint> leaving = take_unkept(staying, retention_);
  // The manifest stops naming a file before the file goes: at no instant does it promise what is not there.
  write_manifest(directory_, staying);
  committed_ = std::move(staying);
  std::error_code ignored;  // a file that cannot be removed costs space, nothing else
  for (const CommittedCheckpoint& old : leaving) fs::remove(fs::path(directory_) / old.file, ignored);
  return checkpoint;
}

void CheckpointStore::forget(const std::vector<RefusedCheckpoint>& refused) {
  std::vector<CommittedCheckpoint> staying = committed_;
  std::erase_if(staying, [&](const CommittedCheckpoint& checkpoint) {
    return std::ranges::find(refused, checkpoint.file, &RefusedCheckpoint::file) != refused.end();
  });
  write_manifest(directory_, staying);
  committed_ = std::move(staying);
}

void CheckpointStore::require_room(std::uint64_t bytes) const {
  constexpr std::uint64_t kReserve = 64 << 10;  // for the manifest, metrics and summary
  const std::uint64_t needed = bytes + bytes / 5 + kReserve;
  struct statvfs disk {};
  if (::statvfs(directory_.c_str(), &disk) != 0) return;  // then the write will say what is wrong
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free < needed)
    throw UserError(ExitCode::io,
                    fmt::format("{}: a checkpoint needs {} bytes of free space, there are {}", directory_, needed, free),
                    "make room on that disk");
}

}  // namespace backplane
