#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "files/atomic_write.h"
#include "files/digest.h"
#include "files/io_thread.h"
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
  EXPECT_NE(error.find("open failed: No such file or directory"), std::string::npos) << error;
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(WriteFileAtomically, LeavesNoTemporaryFileWhenItFails) {
  const TemporaryFolder folder("write");
  fs::create_directory(folder.path("taken"));  // a folder cannot be replaced by a file: the last call fails
  const std::string error = user_error_of([&] { write_file_atomically(folder.path("taken"), "x"); });
  EXPECT_TRUE(error.starts_with("74 ") && error.find("rename failed") != std::string::npos) << error;
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"taken"});
}

TEST(WriteFileAtomically, TakesANameWithoutAFolder) {
  const TemporaryFolder folder("write");
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("plain", "x");
  fs::current_path(before);
  EXPECT_EQ(read_bytes(folder.path("plain")), "x");
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
  EXPECT_EQ(user_error_of([] { sha256_of_file("/no/such/file"); }), "66 error: /no/such/file: cannot be read");
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
