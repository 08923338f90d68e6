// That the simulated disk loses what a real one may lose: without this the other tests of this folder prove nothing.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "fault/faults.h"
#include "fault/support.h"

namespace backplane::fault {
namespace {

using backplane::testing::read_bytes;
using backplane::testing::TemporaryFolder;

enum class Synced { no, yes };

void put(const std::string& path, const std::string& text, Synced synced) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ASSERT_EQ(write(descriptor, text.data(), text.size()), std::ssize(text));
  if (synced == Synced::yes) {
    ASSERT_EQ(fsync(descriptor), 0);
  }
  close(descriptor);
}

void sync_directory(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(fsync(descriptor), 0);
  close(descriptor);
}

/// A folder with a file "old", in which a process works whose power then fails.
class Disk : public ::testing::Test {
 protected:
  Disk() { put(path("old"), "old text", Synced::yes); }

  std::string path(const std::string& name) const { return folder_.path(name); }

  void lose_power_after(const std::function<void()>& action, std::uint64_t seed = 0) {
    const pid_t child = fork();
    if (child == 0) {
      arm({.directory = folder_.path(), .faults = {}, .seed = seed});
      action();
      lose_power();
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(WEXITSTATUS(status), kPowerFailed);
  }
  std::set<std::string> names() const { return names_in(folder_.path()); }

  TemporaryFolder folder_{"disk"};
};

using Names = std::set<std::string>;

TEST_F(Disk, LosesAFileWhoseDirectoryWasNotSynced) {
  lose_power_after([&] { put(path("new"), "new text", Synced::yes); });
  EXPECT_EQ(names(), Names{"old"});
}

TEST_F(Disk, LosesBytesThatWereNotSynced) {
  lose_power_after([&] {
    put(path("new"), "new text", Synced::no);
    put(path("old"), "other text", Synced::no);
    sync_directory(folder_.path());
  });
  EXPECT_EQ(names(), (Names{"new", "old"}));
  EXPECT_EQ(read_bytes(path("new")), "");
  EXPECT_EQ(read_bytes(path("old")), "old text");
}

TEST_F(Disk, KeepsWhatWasSynced) {
  lose_power_after([&] {
    put(path("new"), "new text", Synced::yes);
    sync_directory(folder_.path());
  });
  EXPECT_EQ(read_bytes(path("new")), "new text");
}

TEST_F(Disk, LosesRenamesAndRemovalsThatWereNotSynced) {
  lose_power_after([&] {
    put(path("new"), "new text", Synced::yes);
    sync_directory(folder_.path());
    rename(path("new").c_str(), path("old").c_str());
  });
  EXPECT_EQ(read_bytes(path("old")), "old text");
  EXPECT_EQ(read_bytes(path("new")), "new text");
  lose_power_after([&] { unlink(path("old").c_str()); });
  EXPECT_EQ(read_bytes(path("old")), "old text");
}

TEST_F(Disk, LosesADirectoryWithAllThatIsInIt) {
  lose_power_after([&] {
    mkdir(path("folder").c_str(), 0755);
    put(path("folder/new"), "new text", Synced::yes);
    sync_directory(path("folder"));
  });
  EXPECT_EQ(names(), Names{"old"});
}

TEST_F(Disk, MayKeepAnythingThatWasNotSynced) {
  Names texts, both;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    put(path("old"), "old text", Synced::yes);
    unlink(path("new").c_str());
    lose_power_after(
        [&] {
          put(path("new"), "new text", Synced::no);
          put(path("old"), "OLD TEXT", Synced::no);
        },
        seed);
    texts.insert(read_bytes(path("old")).substr(0, 8));
    both.insert(names().contains("new") ? "new: " + read_bytes(path("new")).substr(0, 8) : "none");
  }
  EXPECT_TRUE(texts.contains("old text") && texts.contains("OLD TEXT"));
  EXPECT_TRUE(both.contains("none") && both.contains("new: ") && both.contains("new: new text"));
}

TEST_F(Disk, DoesNotKnowAFileOfWhichAnFsyncFailed) {
  const pid_t child = fork();
  if (child == 0) {
    arm({.directory = folder_.path(), .faults = {{.at = 3, .action = Action::io_error}}, .seed = 0});
    const int descriptor = open(path("old").c_str(), O_WRONLY);
    const bool wrote = write(descriptor, "OLD", 3) == 3;
    const bool failed = fsync(descriptor) != 0 && errno == EIO;
    if (!wrote || !failed || fsync(descriptor) != 0 || repeated_fsyncs() != 1) _exit(1);  // the second one lies
    lose_power();
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), kPowerFailed);
  EXPECT_EQ(read_bytes(path("old")), "old text");
}

TEST_F(Disk, FailsTheCallThatWasNamedAndNoOther) {
  arm({.directory = folder_.path(), .faults = {{.at = 2, .action = Action::half}}, .seed = 0});
  const int descriptor = open(path("old").c_str(), O_WRONLY);
  const ssize_t first = write(descriptor, "123456", 6), second = write(descriptor, "456", 3);
  close(descriptor);
  const std::vector<std::string> calls = disarm();
  EXPECT_EQ(first, 3);
  EXPECT_EQ(second, 3);
  EXPECT_EQ(calls, (std::vector<std::string>{"open " + path("old"), "write " + path("old"), "write " + path("old"),
                                             "close " + path("old")}));
  EXPECT_EQ(read_bytes(path("old")), "123456xt");
}

}  // namespace
}  // namespace backplane::fault
