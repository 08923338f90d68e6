#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "files/atomic_write.h"
#include "base/digest.h"
#include "files/file_digest.h"
#include "files/file_lock.h"
#include "files/io_thread.h"
#include "files/open_file.h"
#include "files/temporary_file.h"
#include "support/model.h"

namespace backplane {
namespace {

namespace fs = std::filesystem;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::user_error_of;

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TEST(WriteFileAtomically, WritesTheBytesAndNothingElse) {
  const TemporaryFolder folder("write");
  const std::string bytes("a\0b\n\xff", 5);
  write_file_atomically(folder.path("file"), bytes);
  EXPECT_EQ(read_bytes(folder.path("file")), bytes);
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"file"});
}

TEST(WriteFileAtomically, WritesEmptyAndLargeFiles) {
  const TemporaryFolder folder("write");
  write_file_atomically(folder.path("empty"), "");
  EXPECT_EQ(fs::file_size(folder.path("empty")), 0u);
  const std::string large(5'000'001, 'x');
  write_file_atomically(folder.path("large"), large);
  EXPECT_EQ(read_bytes(folder.path("large")), large);
}

TEST(WriteFileAtomically, ReplacesAFileByANewOne) {
  const TemporaryFolder folder("write");
  write_file_atomically(folder.path("file"), "a long old text");
  fs::create_hard_link(folder.path("file"), folder.path("reader"));
  write_file_atomically(folder.path("file"), "new");
  EXPECT_EQ(read_bytes(folder.path("file")), "new");
  // Who has the old file open keeps the old file: it was not written over.
  EXPECT_EQ(read_bytes(folder.path("reader")), "a long old text");
}

TEST(WriteFileAtomically, NamesTheCallThatFailed) {
  const TemporaryFolder folder("write");
  const std::string error = user_error_of([&] { write_file_atomically(folder.path("no/such/file"), "x"); });
  EXPECT_TRUE(error.starts_with("74 ")) << error;
  EXPECT_NE(error.find("open failed: there is no such file or directory"), std::string::npos) << error;
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(WriteFileAtomically, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder("write");
  const std::string place = folder.path("place");
  const auto expect_refused = [&](const char* noun) {
    const std::string error = user_error_of([&] { write_file_atomically(place, "x"); });
    EXPECT_TRUE(error.starts_with("74 ") && error.find(std::string("is ") + noun + ", not") != std::string::npos)
        << error;
    EXPECT_EQ(names_in(folder.path()).size(), 1u);
    fs::remove(place);
  };
  fs::create_directory(place);
  expect_refused("a directory");
  ASSERT_EQ(mkfifo(place.c_str(), 0600), 0);
  expect_refused("a FIFO");
  fs::create_symlink("elsewhere", place);
  expect_refused("a link");
}

TEST(WriteFileAtomically, ObeysTheUmask) {
  const TemporaryFolder folder("write");
  for (const mode_t mask : {0002, 0077}) {
    const mode_t before = umask(mask);
    write_file_atomically(folder.path("file"), "x");
    umask(before);
    EXPECT_EQ(static_cast<mode_t>(fs::status(folder.path("file")).permissions()), 0666 & ~mask);
  }
}

TEST(TemporaryFile, HasANameThatNobodyForesaw) {
  const TemporaryFolder folder("temporary");
  const TemporaryFile a(folder.path("file")), b(folder.path("file"));
  EXPECT_NE(a.path(), b.path());
  EXPECT_EQ(a.path().size(), folder.path("file.tmp-0123456789abcdef").size());
}

TEST(TemporaryFile, ADeadOneIsRemovedAndNothingElse) {
  const TemporaryFolder folder("temporary");
  const std::string dead = "file.tmp-0123456789abcdef";
  const std::vector<std::string> others{
      "file",     "file.tmp-", "file.tmp-0123456789abcde", "file.tmp-0123456789abcdeg", "other.tmp-0123456789abcdef",
      "notes.txt"};
  for (const std::string& name : others) std::ofstream(folder.path(name)) << "x";
  std::ofstream(folder.path(dead)) << "x";
  fs::create_symlink("notes.txt", folder.path("file.tmp-fedcba9876543210"));
  remove_dead_temporary_files(folder.path(), [](const std::string& name) { return name == "file"; });
  EXPECT_FALSE(fs::exists(folder.path(dead)));
  EXPECT_TRUE(fs::is_symlink(folder.path("file.tmp-fedcba9876543210")));
  for (const std::string& name : others) EXPECT_EQ(read_bytes(folder.path(name)), "x") << name;
}

TEST(OpenRegular, RefusesWhatIsNoRegularFileAndNeverWaits) {
  const TemporaryFolder folder("open");
  ASSERT_EQ(mkfifo(folder.path("fifo").c_str(), 0600), 0);
  std::ofstream(folder.path("file")) << "bytes";
  fs::create_symlink("file", folder.path("link"));
  fs::create_symlink("nowhere", folder.path("dangling"));
  EXPECT_EQ(open_regular(folder.path("fifo")).why, "is a FIFO, not a regular file");
  EXPECT_EQ(open_regular(folder.path("fifo"), Links::refuse, O_WRONLY).why, "is a FIFO, not a regular file");
  EXPECT_EQ(open_regular(folder.path()).why, "is a directory, not a regular file");
  EXPECT_EQ(open_regular("/dev/null").why, "is a device, not a regular file");
  EXPECT_EQ(open_regular(folder.path("link"), Links::refuse).why, "is a link, not a regular file");
  EXPECT_EQ(open_regular(folder.path("dangling"), Links::refuse, O_WRONLY | O_CREAT).why,
            "is a link, not a regular file");
  EXPECT_TRUE(open_regular(folder.path("nothing")).is_missing);
  EXPECT_FALSE(fs::exists(folder.path("nowhere")));
  EXPECT_EQ(read_all(open_regular(folder.path("link")).file, "link", 100), "bytes");
  EXPECT_EQ(read_all(open_regular(folder.path("file")).file, "file", 3), "byt");
  EXPECT_TRUE(open_regular_or_stream("/dev/fd/0").why.empty());
  EXPECT_EQ(open_regular_or_stream(folder.path("fifo")).why, "is a FIFO, not a regular file");
}

/// What a process may lock that has the file open for reading only.
TEST(LockExclusively, IsOnlyForWhoMayWrite) {
  const TemporaryFolder folder("lock");
  const OpenedFile holder = open_regular(folder.path("lock"), Links::refuse, O_RDWR | O_CREAT);
  const OpenedFile reader = open_regular(folder.path("lock")),
                   second = open_regular(folder.path("lock"), Links::refuse, O_RDWR);
  EXPECT_EQ(lock_exclusively(reader.file), EBADF);
  ASSERT_EQ(flock(reader.file.number(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(lock_exclusively(holder.file), 0);
  EXPECT_EQ(lock_exclusively(second.file), EAGAIN);
}

TEST(WriteFileAtomically, TakesANameWithoutAFolder) {
  const TemporaryFolder folder("write");
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("plain", "x");
  fs::current_path(before);
  EXPECT_EQ(read_bytes(folder.path("plain")), "x");
}

TEST(TemporaryFile, TakesAFreeNameAndNoOther) {
  const TemporaryFolder folder("free");
  write_file_atomically(folder.path("taken"), "made meanwhile");
  {
    TemporaryFile file(folder.path("file"));
    EXPECT_FALSE(file.take_free_name(folder.path("taken")));
    EXPECT_TRUE(file.take_free_name(folder.path("file")));
  }
  EXPECT_EQ(read_bytes(folder.path("taken")), "made meanwhile");
  EXPECT_EQ(read_bytes(folder.path("file")), "");
  EXPECT_EQ(names_in(folder.path()).size(), 2u);
}

TEST(Sha256, GivesTheKnownDigests) {
  // FIPS 180-4 examples.
  const std::pair<std::string, const char*> known[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  const TemporaryFolder folder("sha256");
  for (const auto& [text, digest] : known) {
    EXPECT_EQ(sha256_of(text.data(), text.size()), digest);
    Sha256 piecewise;
    for (std::size_t i = 0; i < text.size(); i += 4093)
      piecewise.add(text.data() + i, std::min<std::size_t>(4093, text.size() - i));
    EXPECT_EQ(piecewise.hex(), digest);
    write_file_atomically(folder.path("file"), text);
    EXPECT_EQ(sha256_of_file(folder.path("file")), digest);
  }
}

TEST(Sha256, OfAMissingFileSaysSo) {
  EXPECT_EQ(user_error_of([] { sha256_of_file("/no/such/file"); }), "66 error: /no/such/file: there is no such file");
}

TEST(Sha256, OfAFileThatCannotBeReadToItsEndIsNone) {
  const std::string what = user_error_of([] { sha256_of_file("/proc/self/mem"); });  // its first page is mapped nowhere
  EXPECT_EQ(what.substr(0, what.find('\n')), "74 error: /proc/self/mem: cannot be read: input or output failed");
}

TEST(IoThread, RunsJobsInOrderOnOneOtherThread) {
  std::vector<int> order;
  std::vector<std::thread::id> threads;
  IoThread io;
  for (int i = 0; i < 100; ++i)
    io.submit([&, i] {
      order.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  io.drain();
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order, expected);
  for (const auto& id : threads) EXPECT_TRUE(id == threads[0] && id != std::this_thread::get_id());
}

TEST(IoThread, DrainWaitsForTheJobThatRuns) {
  std::promise<void> start;
  bool done = false;
  IoThread io;
  io.submit([&] {
    start.get_future().wait();
    done = true;
  });
  start.set_value();
  io.drain();
  EXPECT_TRUE(done);
}

TEST(IoThread, HoldsBackWhoSubmitsTooMuch) {
  std::atomic<int> submitted = 0;
  int finished = 0, longest = 0;
  IoThread io;
  for (int i = 0; i < 2000; ++i) {
    io.submit([&] {
      for (int spin = 0; spin < 100; ++spin) std::this_thread::yield();
      longest = std::max(longest, submitted.load() - finished);
      ++finished;
    });
    ++submitted;
  }
  io.drain();
  EXPECT_EQ(finished, 2000);
  EXPECT_LE(longest, 257);  // 256 that wait and the one that runs
}

TEST(IoThread, BringsAnErrorBackOnceAndGoesOn) {
  IoThread io;
  io.submit([] { throw std::runtime_error("disk full"); });
  EXPECT_THROW(io.drain(), std::runtime_error);
  int runs = 0;
  io.submit([&] { ++runs; });
  EXPECT_NO_THROW(io.drain());
  EXPECT_EQ(runs, 1);
}

TEST(IoThread, BringsAnErrorBackWhenMoreIsSubmitted) {
  IoThread io;
  io.submit([] { throw std::runtime_error("disk full"); });
  // One of the next submits sees it, at the latest when the queue is full and the failure wakes it.
  EXPECT_THROW(
      {
        for (int i = 0; i < 100; ++i) io.submit([] {});
        io.drain();
      },
      std::runtime_error);
}

TEST(IoThread, RunsWhatIsQueuedBeforeItEnds) {
  std::atomic<int> runs = 0;
  {
    IoThread io;
    for (int i = 0; i < 20; ++i) io.submit([&] { ++runs; });
  }
  EXPECT_EQ(runs.load(), 20);
}

}  // namespace
}  // namespace backplane
