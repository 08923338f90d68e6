#include "checkpoint/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/image.h"
#include "files/atomic_write.h"
#include "files/digest.h"

namespace backplane {

namespace fs = std::filesystem;

CheckpointStore::CheckpointStore(std::string directory, std::int64_t keep)
    : directory_(std::move(directory)), keep_(keep) {
  make_directories_durably(directory_);
}

CommittedCheckpoint CheckpointStore::commit(const Snapshot& snapshot) {
  const std::vector<std::byte> image = build_image(snapshot);
  CommittedCheckpoint checkpoint{.file = fmt::format("step-{:08}.h5", snapshot.step),
                                 .step = snapshot.step,
                                 .bytes = image.size(),
                                 .sha256 = sha256_of(image.data(), image.size())};
  write_file_atomically((fs::path(directory_) / checkpoint.file).string(), image.data(), image.size());
  std::vector<CommittedCheckpoint> staying = committed_;
  std::erase_if(staying, [&](const CommittedCheckpoint& other) { return other.step == checkpoint.step; });
  staying.push_back(checkpoint);
  // The manifest stops naming an old file before the file goes: at no instant does it promise what is not there.
  const auto old_count = std::max<std::ptrdiff_t>(0, std::ssize(staying) - static_cast<std::ptrdiff_t>(keep_));
  const std::vector<CommittedCheckpoint> old(staying.begin(), staying.begin() + old_count);
  staying.erase(staying.begin(), staying.begin() + old_count);
  write_manifest(staying);
  committed_ = std::move(staying);
  std::error_code ignored;  // a file that cannot be removed costs space, nothing else
  for (const CommittedCheckpoint& leaving : old) fs::remove(fs::path(directory_) / leaving.file, ignored);
  return checkpoint;
}

void CheckpointStore::write_manifest(const std::vector<CommittedCheckpoint>& checkpoints) const {
  nlohmann::ordered_json manifest{
      {"format", "backplane-manifest"}, {"format_version", 1}, {"checkpoints", nlohmann::ordered_json::array()}};
  for (const CommittedCheckpoint& checkpoint : checkpoints)
    manifest["checkpoints"].push_back({{"file", checkpoint.file},
                                       {"step", checkpoint.step},
                                       {"bytes", checkpoint.bytes},
                                       {"sha256", checkpoint.sha256}});
  write_file_atomically((fs::path(directory_) / "MANIFEST.json").string(), manifest.dump(2) + "\n");
}

}  // namespace backplane
