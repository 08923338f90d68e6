#include "checkpoint/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <limits>
#include <utility>

#include "base/error.h"
#include "checkpoint/image.h"
#include "checkpoint/reader.h"
#include "files/atomic_write.h"
#include "base/digest.h"
#include "files/free_space.h"

namespace backplane {

namespace fs = std::filesystem;

std::vector<std::string> told(const std::vector<RefusedCheckpoint>& refused) {
  constexpr std::size_t kMostTold = 20;
  std::vector<std::string> sentences;
  for (const RefusedCheckpoint& each : refused) {
    if (sentences.size() == kMostTold) {
      sentences.push_back(fmt::format("and {} more", refused.size() - kMostTold));
      break;
    }
    sentences.push_back(each.why);
  }
  return sentences;
}

NewestCheckpoint read_newest_checkpoint(const std::string& directory) {
  const Manifest manifest = read_manifest(directory);
  NewestCheckpoint newest;
  for (const std::string& why : manifest.unusable) newest.refused.push_back({.file = "", .why = why});
  std::vector<CommittedCheckpoint> from_newest(manifest.checkpoints.rbegin(), manifest.checkpoints.rend());
  std::ranges::stable_sort(from_newest, std::ranges::greater{}, &CommittedCheckpoint::step);
  for (const CommittedCheckpoint& checkpoint : from_newest) try {
      newest.snapshot = read_checkpoint((fs::path(directory) / checkpoint.file).string(), checkpoint);
      if (newest.snapshot.step != checkpoint.step)
        throw UserError(ExitCode::bad_data, fmt::format("{}: is of step {}, its manifest says {}", checkpoint.file,
                                                        newest.snapshot.step, checkpoint.step));
      newest.from = checkpoint;
      return newest;
    } catch (const UserError& error) {  // missing, damaged, or of another version: an older one may do
      const bool is_missing = dynamic_cast<const NoCheckpoint*>(&error) != nullptr;
      if (!is_missing && error.code() != ExitCode::bad_data) throw;  // nothing is known of it
      newest.refused.push_back({.file = checkpoint.file, .why = error.diagnostics().front().what});
    }
  std::vector<Diagnostic> findings{{.what = fmt::format("{}: no checkpoint of it is whole", directory)}};
  for (std::string& why : told(newest.refused)) findings.push_back({.what = std::move(why)});
  findings.back().hint = "take the files from a backup, or begin anew elsewhere with --out";
  throw UserError(ExitCode::bad_data, std::move(findings));
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

bool CheckpointStore::is_ours(const std::string& name) {
  return name == "MANIFEST.json" || name == "MANIFEST.copy.json" || step_of_checkpoint_name(name).has_value();
}

CheckpointStore::CheckpointStore(std::string directory, const Retention& retention)
    : directory_(std::move(directory)), retention_(retention) {
  make_directories_durably(directory_);
  remove_dead_temporary_files(directory_, is_ours);
  if (has_manifest(directory_)) {
    Manifest manifest = read_manifest(directory_);
    committed_ = std::move(manifest.checkpoints);
    leaving_ = std::move(manifest.removing);
    for (const CommittedCheckpoint& checkpoint : committed_) std::erase(leaving_, checkpoint.file);
  }
  std::ranges::stable_sort(committed_, {}, &CommittedCheckpoint::step);
  if (!leaving_.empty()) remove_leaving();
}

CommittedCheckpoint CheckpointStore::commit(const Snapshot& snapshot, std::optional<double> validation_loss) {
  std::vector<CommittedCheckpoint> staying = committed_;
  if (const auto same = std::ranges::find(staying, snapshot.step, &CommittedCheckpoint::step); same != staying.end()) {
    // Its bytes are as good; to write over the only good file would be the one way to lose it.
    if (!validation_loss || same->validation_loss == validation_loss) return *same;
    same->validation_loss = validation_loss;
    const CommittedCheckpoint known = *same;
    publish(std::move(staying));
    return known;
  }
  const Image image(snapshot);
  const std::span<const std::byte> bytes = image.bytes();
  CommittedCheckpoint checkpoint{.file = checkpoint_name(snapshot.step),
                                 .step = snapshot.step,
                                 .bytes = bytes.size(),
                                 .sha256 = sha256_of(bytes.data(), bytes.size()),
                                 .validation_loss = validation_loss};
  const std::string path = (fs::path(directory_) / checkpoint.file).string();
  require_free_space(path, bytes.size() + bytes.size() / 5);
  try {
    write_file_atomically(path, bytes.data(), bytes.size(), ReadBack::yes);
    staying.insert(std::ranges::upper_bound(staying, checkpoint.step, {}, &CommittedCheckpoint::step), checkpoint);
    const std::vector<CommittedCheckpoint> unkept = take_unkept(staying, retention_);
    publish(std::move(staying), unkept);
  } catch (const UserError&) {
    take_back(checkpoint.file);
    throw;
  }
  return checkpoint;
}

std::optional<std::string> CheckpointStore::take_copy_flaw() {
  if (copy_flaw_.empty() || std::exchange(is_copy_flaw_told_, true)) return std::nullopt;
  return copy_flaw_;
}

void CheckpointStore::forget(const std::vector<RefusedCheckpoint>& refused) {
  std::vector<CommittedCheckpoint> staying = committed_;
  std::erase_if(staying, [&](const CommittedCheckpoint& checkpoint) {
    return std::ranges::find(refused, checkpoint.file, &RefusedCheckpoint::file) != refused.end();
  });
  publish(std::move(staying));
}

/// The manifest stops naming a file before the file goes: at no instant does it promise what is not there.
void CheckpointStore::publish(std::vector<CommittedCheckpoint> checkpoints,
                              const std::vector<CommittedCheckpoint>& unkept) {
  std::vector<std::string> leaving = leaving_;
  for (const CommittedCheckpoint& checkpoint : unkept) leaving.push_back(checkpoint.file);
  for (const CommittedCheckpoint& checkpoint : checkpoints) std::erase(leaving, checkpoint.file);
  write_manifest(directory_, {.checkpoints = checkpoints, .unusable = {}, .removing = leaving});
  committed_ = std::move(checkpoints);
  leaving_ = std::move(leaving);
  remove_leaving();
}

/// What fails here costs space until the next time, nothing else. Where the copy cannot be written, the newest of those
/// that it still names stays, so that it goes on standing in for a manifest that is damaged.
void CheckpointStore::remove_leaving() {
  std::string staying;
  try {
    write_manifest_copy(directory_, {.checkpoints = committed_, .unusable = {}, .removing = leaving_});
    copy_flaw_.clear();
  } catch (const UserError& error) {
    const std::string flaw = error.diagnostics().front().what;
    is_copy_flaw_told_ = is_copy_flaw_told_ && copy_flaw_ == flaw;
    copy_flaw_ = flaw;
    try {
      staying = newest_in_manifest_copy(directory_);
    } catch (const UserError&) {
      return;
    }
  }
  std::erase_if(leaving_, [&](const std::string& file) {
    if (file == staying) return false;
    std::error_code error;
    fs::remove(fs::path(directory_) / file, error);
    return !error;
  });
  remove_dead_temporary_files(directory_, is_ours);
}

/// After a failed commit. Where the manifest was replaced and could not be synced, it may name the file: then that one
/// goes after the next commit only.
void CheckpointStore::take_back(const std::string& file) {
  const auto is_named = [&] {
    const auto names_it = [&](const CommittedCheckpoint& checkpoint) { return checkpoint.file == file; };
    try {
      return has_manifest(directory_) && std::ranges::any_of(read_manifest(directory_).checkpoints, names_it);
    } catch (const UserError&) {
      return true;  // nobody knows
    }
  };
  std::error_code error;
  if (!is_named()) fs::remove(fs::path(directory_) / file, error);
  if (fs::exists(fs::path(directory_) / file, error)) leaving_.push_back(file);
}

}  // namespace backplane
