#include "run/run_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "support/model.h"

namespace backplane {
namespace {

namespace fs = std::filesystem;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::user_error_of;

using Earlier = RunDirectory::Earlier;

class RunDirectoryTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name = {}) const { return folder_.path(name); }
  void write(const std::string& name, const std::string& text = "something") const {
    std::ofstream(path(name)) << text;
  }
  /// A run that has ended and left a file.
  void leave_run(const std::string& name, const std::string& config) const {
    const RunDirectory run(path(name), Earlier::move_aside);
    std::ofstream(run.path("config.yaml")) << config;
  }
  std::string error_of(const std::string& name, Earlier earlier) const {
    return user_error_of([&] { RunDirectory(path(name), earlier); });
  }
  /// Both ways of taking a directory say this of it, and leave it alone.
  void expect_refused(const std::string& name, const std::string& error) const {
    for (const Earlier earlier : {Earlier::move_aside, Earlier::go_on}) EXPECT_EQ(error_of(name, earlier), error);
  }

  TemporaryFolder folder_{"run-directory"};
};

TEST_F(RunDirectoryTest, IsMadeWithAllAboveIt) {
  for (const Earlier earlier : {Earlier::move_aside, Earlier::go_on}) {
    const std::string name = earlier == Earlier::go_on ? "a/b/resumed" : "a/b/new";
    const RunDirectory run(path(name), earlier);
    EXPECT_EQ(run.text(), path(name));
    EXPECT_EQ(fs::canonical(run.path("")), path(name));
    EXPECT_EQ(run.spelled_out(run.path("trace.h5") + ": is cut"), path(name) + "/trace.h5: is cut");
    EXPECT_EQ(run.moved_aside(), "");
    run.require_writable();
    struct stat lock {};
    ASSERT_EQ(::stat(path(name + "/run.lock").c_str(), &lock), 0);
    EXPECT_EQ(lock.st_mode & 0777, 0600u) << "nobody else is to take the lock";
  }
  fs::create_directory(path("empty"));
  EXPECT_EQ(RunDirectory(path("empty/../empty/."), Earlier::move_aside).text(), path("empty"));
}

TEST_F(RunDirectoryTest, IsHeldAgainstOtherRunsAsLongAsItLives) {
  std::optional<RunDirectory> first(std::in_place, path("run"), Earlier::move_aside);
  expect_refused("run",
                 "74 error: " + path("run") +
                     ": another run is writing here\n  hint: wait for it, or choose another directory with --out");
  EXPECT_FALSE(fs::exists(path("run.1")));
  first.reset();
  EXPECT_EQ(RunDirectory(path("run"), Earlier::go_on).moved_aside(), "");
}

TEST_F(RunDirectoryTest, MovesEarlierRunsAside) {
  write("run.2", "no run at all");
  for (const char* config : {"first", "second", "third"}) leave_run("run", config);
  EXPECT_EQ(read_bytes(path("run/config.yaml")), "third");
  EXPECT_EQ(read_bytes(path("run.1/config.yaml")), "first");
  EXPECT_EQ(read_bytes(path("run.2")), "no run at all");
  EXPECT_EQ(read_bytes(path("run.3/config.yaml")), "second");
  const RunDirectory fourth(path("run"), Earlier::move_aside);
  EXPECT_EQ(fourth.moved_aside(), path("run.4"));
  EXPECT_FALSE(fs::exists(fourth.path("config.yaml")));
}

TEST_F(RunDirectoryTest, GoesOnWithWhatIsThere) {
  leave_run("run", "first");
  const RunDirectory run(path("run"), Earlier::go_on);
  EXPECT_EQ(run.moved_aside(), "");
  EXPECT_EQ(read_bytes(run.path("config.yaml")), "first");
  run.require_writable();
}

TEST_F(RunDirectoryTest, LeavesALinkToItWhereItIs) {
  fs::create_directory(path("disk"));
  fs::create_symlink("disk/run", path("link"));
  leave_run("link", "first");
  EXPECT_EQ(read_bytes(path("disk/run/config.yaml")), "first");
  const RunDirectory second(path("link"), Earlier::move_aside);
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(second.moved_aside(), path("disk/run.1"));
  EXPECT_EQ(read_bytes(path("disk/run.1/config.yaml")), "first");
  EXPECT_TRUE(fs::exists(path("disk/run/run.lock")));
  fs::create_symlink("circle", path("circle"));
  expect_refused("circle", "74 error: " + path("circle") +
                               ": symbolic links lead in a circle\n  hint: choose another directory with --out");
}

TEST_F(RunDirectoryTest, RefusesWhatIsNoRun) {
  write("file");
  expect_refused("file", "74 error: " + path("file") +
                             ": is a regular file, not a directory\n  hint: choose another directory with --out");
  expect_refused("file/below", "74 error: " + path("file/below") +
                                   ": the directory cannot be made: a part of the path is a file, not a directory\n"
                                   "  hint: choose another directory with --out");
  fs::create_directory(path("letters"));
  write("letters/love.txt", "dear");
  const std::string elsewhere = "\n  hint: choose another directory with --out";
  expect_refused("letters", "74 error: " + path("letters") + ": is not empty and holds no run" + elsewhere +
                                "; nothing of it was touched");
  EXPECT_EQ(read_bytes(path("letters/love.txt")), "dear");
  // A lock that is none of ours is not followed or waited for.
  fs::create_symlink("love.txt", path("letters/run.lock"));
  expect_refused("letters", "74 error: " + path("letters") + ": run.lock is a link, not a regular file" + elsewhere);
  fs::remove(path("letters/run.lock"));
  ASSERT_EQ(::mkfifo(path("letters/run.lock").c_str(), 0600), 0);
  expect_refused("letters", "74 error: " + path("letters") + ": run.lock is a FIFO, not a regular file" + elsewhere);
  EXPECT_EQ(read_bytes(path("letters/love.txt")), "dear");
}

TEST_F(RunDirectoryTest, GoesOnWithNoRunThatHoldsLinks) {
  write("outside", "precious");
  leave_run("run", "first");
  for (const std::string& name : RunDirectory::files()) {
    fs::remove(path("run/" + name));
    fs::create_symlink(path("outside"), path("run/" + name));
    EXPECT_EQ(error_of("run", Earlier::go_on).find("74 error: " + path("run/" + name) + ": is a link"), 0u) << name;
    fs::remove(path("run/" + name));
  }
  fs::create_directory(path("elsewhere"));
  fs::create_symlink(path("elsewhere"), path("run/checkpoints"));
  EXPECT_EQ(error_of("run", Earlier::go_on).find("74 error: " + path("run/checkpoints") + ": is a link"), 0u);
  fs::remove(path("run/checkpoints"));
  fs::create_directory(path("run/checkpoints"));
  fs::create_symlink(path("outside"), path("run/checkpoints/notes"));  // of no concern
  EXPECT_EQ(error_of("run", Earlier::go_on), "");
  for (const char* name : {"step-00000002.h5", "MANIFEST.json"}) {
    fs::create_symlink(path("outside"), path("run/checkpoints") + "/" + name);
    EXPECT_EQ(error_of("run", Earlier::go_on).find("74 error: " + path("run/checkpoints") + "/" + name + ": is a link"),
              0u);
    fs::remove(path("run/checkpoints") + "/" + name);
  }
  EXPECT_EQ(read_bytes(path("outside")), "precious");
  // Moved away as a whole, it is no danger.
  fs::create_symlink(path("outside"), path("run/trace.h5"));
  EXPECT_EQ(RunDirectory(path("run"), Earlier::move_aside).moved_aside(), path("run.1"));
}

TEST_F(RunDirectoryTest, KnowsTheFilesOfRuns) {
  leave_run("run", "first");
  fs::create_directory(path("run/checkpoints"));
  fs::create_directory_symlink(path("run"), path("link"));
  fs::create_directory(path("empty"));
  for (const char* name :
       {"run/config.yaml", "run/run.lock", "run/summary.json", "link/trace.h5", "run/checkpoints/../metrics.jsonl",
        "run/checkpoints/step-00000002.h5", "link/checkpoints/MANIFEST.json"})
    EXPECT_TRUE(RunDirectory::is_file_of_run(path(name))) << name;
  for (const char* name : {"run/other.yaml", "empty/config.yaml", "config.yaml", "run/step-00000002.h5",
                           "run/checkpoints/config.yaml", "empty/checkpoints/step-00000002.h5", "run"})
    EXPECT_FALSE(RunDirectory::is_file_of_run(path(name))) << name;
}

}  // namespace
}  // namespace backplane
