// A checkpoint or manifest that was cut off anywhere, or in which any byte changed, is noticed before HDF5, which
// crashes on such files, sees a byte of it; the older checkpoint, or the manifest's copy, takes its place.

#include <dlfcn.h>
#include <fcntl.h>
#include <hdf5.h>
#include <spawn.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/reader.h"
#include "checkpoint/store.h"
#include "fault/support.h"

namespace {
int files_given_to_hdf5 = 0;  // here, or by a child that was started
}  // namespace

/// In front of HDF5's own.
extern "C" hid_t H5Fopen(const char* name, unsigned flags, hid_t access) {
  ++files_given_to_hdf5;
  static const auto theirs = reinterpret_cast<decltype(&H5Fopen)>(dlsym(RTLD_NEXT, "H5Fopen"));
  return theirs(name, flags, access);
}

/// In front of libc's own.
extern "C" int posix_spawn(pid_t* process, const char* path, const posix_spawn_file_actions_t* actions,
                           const posix_spawnattr_t* attributes, char* const* words, char* const* environment) noexcept {
  ++files_given_to_hdf5;
  static const auto theirs = reinterpret_cast<decltype(&posix_spawn)>(dlsym(RTLD_NEXT, "posix_spawn"));
  return theirs(process, path, actions, attributes, words, environment);
}

namespace backplane::fault {
namespace {

using backplane::testing::read_bytes;
using backplane::testing::TemporaryFolder;
using backplane::testing::user_error_of;

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string flipped(std::string bytes, std::size_t byte, unsigned bit) {
  bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
  return bytes;
}

/// The bits to flip of a byte: one, or each.
std::vector<unsigned> bits_of(std::size_t byte) {
  if (is_long()) return {0, 1, 2, 3, 4, 5, 6, 7};
  return {static_cast<unsigned>(byte % 8)};
}

/// Checkpoints of steps 1 and 2; the newer one is damaged.
class Damage : public ::testing::Test {
 protected:
  Damage() {
    CheckpointStore store(folder_.path(), {.keep = 2});
    for (const std::int64_t step : {1, 2}) store.commit(small_snapshot(step));
  }
  std::string path(const char* name) const { return folder_.path(name); }

  /// The step of the newest whole checkpoint.
  std::int64_t newest() const { return read_newest_checkpoint(folder_.path()).snapshot.step; }

  /// The checkpoint of step 2, made of these bytes, is refused for `why` without HDF5. Every 16th time, the whole
  /// directory is read as well.
  void expect_refused(const std::string& bytes, const char* why) {
    write(path(kNewest), bytes);
    files_given_to_hdf5 = 0;
    const std::string error = user_error_of([&] { read_checkpoint(path(kNewest)); });
    ASSERT_TRUE(error.starts_with("65 ") && error.find(why) != std::string::npos) << error;
    ASSERT_EQ(files_given_to_hdf5, 0);
    if (++cases_ % 16 != 0 && !is_long()) return;
    const NewestCheckpoint older = read_newest_checkpoint(folder_.path());
    ASSERT_EQ(older.snapshot.step, 1);
    ASSERT_EQ(older.refused.size(), 1u);
    ASSERT_NE(older.refused[0].why.find(why), std::string::npos) << older.refused[0].why;
    ASSERT_EQ(files_given_to_hdf5, 1);
    ++fallbacks_;
  }

  static constexpr const char* kNewest = "step-00000002.h5";
  TemporaryFolder folder_{"damage"};
  int cases_ = 0, fallbacks_ = 0;
};

TEST_F(Damage, OfACheckpointCutOffAnywhereIsNoticed) {
  const std::string bytes = read_bytes(path(kNewest));
  ASSERT_EQ(newest(), 2);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    SCOPED_TRACE("cut off after byte " + std::to_string(length));
    expect_refused(bytes.substr(0, length), "its manifest says");
    if (HasFatalFailure()) return;
  }
  std::printf(
      "a checkpoint of %zu bytes cut off after each: %d refused without HDF5, %d times the older one was read\n",
      bytes.size(), cases_, fallbacks_);
}

TEST_F(Damage, OfAnyByteOfACheckpointIsNoticed) {
  const std::string bytes = read_bytes(path(kNewest));
  for (std::size_t byte = 0; byte < bytes.size(); ++byte)
    for (const unsigned bit : bits_of(byte)) {
      SCOPED_TRACE("bit " + std::to_string(bit) + " of byte " + std::to_string(byte));
      expect_refused(flipped(bytes, byte, bit), "its SHA-256 differs from its manifest");
      if (HasFatalFailure()) return;
    }
  std::printf("flipped bits in a checkpoint of %zu bytes: %d refused without HDF5, %d times the older one was read\n",
              bytes.size(), cases_, fallbacks_);
}

/// The manifest cut off anywhere, or with a bit of any byte flipped.
std::vector<std::string> damaged(const std::string& manifest) {
  std::vector<std::string> all;
  for (std::size_t byte = 0; byte < manifest.size(); ++byte) {
    all.push_back(manifest.substr(0, byte));
    for (const unsigned bit : bits_of(byte)) all.push_back(flipped(manifest, byte, bit));
  }
  return all;
}

TEST_F(Damage, OfTheManifestLosesNothing) {
  const std::vector<std::string> manifests = damaged(read_bytes(path("MANIFEST.json")));
  for (const std::string& manifest : manifests) {
    write(path("MANIFEST.json"), manifest);
    ASSERT_EQ(newest(), 2) << manifest;
  }
  std::printf("damaged manifests beside their copy: %zu, nothing was lost\n", manifests.size());
}

TEST_F(Damage, OfTheManifestIsMendedByTheNextCommit) {
  write(path("MANIFEST.json"), "{");
  CheckpointStore(folder_.path(), {.keep = 2}).commit(small_snapshot(3));
  const NewestCheckpoint after = read_newest_checkpoint(folder_.path());
  EXPECT_EQ(after.snapshot.step, 3);
  EXPECT_TRUE(after.refused.empty());
  EXPECT_EQ(read_checkpoint(path(kNewest)).step, 2);
}

TEST_F(Damage, OfTheManifestAndItsCopyIsSaid) {
  const std::string whole = read_bytes(path("MANIFEST.json"));
  int refused = 0;
  for (const std::string& manifest : damaged(whole)) {
    write(path("MANIFEST.json"), manifest);
    write(path("MANIFEST.copy.json"), manifest);
    const std::string error = user_error_of([&] { ASSERT_EQ(newest(), 2); });
    if (error.empty()) continue;  // a blank, or the name of a field that nobody needs
    ASSERT_TRUE(error.starts_with("65 ")) << error;
    ASSERT_NE(error.find("hint: "), std::string::npos) << error;
    ++refused;
  }
  EXPECT_GT(refused, static_cast<int>(whole.size()));
}

TEST_F(Damage, IsNoticedWithAManifestThatHasNoCheckOfItsOwnAndNoCopy) {
  auto manifest = nlohmann::ordered_json::parse(read_bytes(path("MANIFEST.json")));
  manifest.erase("sha256");
  std::filesystem::remove(path("MANIFEST.copy.json"));
  write(path("MANIFEST.json"), manifest.dump());
  EXPECT_EQ(newest(), 2);
  manifest["checkpoints"][1]["sha256"] = std::string(64, '0');
  write(path("MANIFEST.json"), manifest.dump());
  EXPECT_EQ(newest(), 1);
}

}  // namespace
}  // namespace backplane::fault
