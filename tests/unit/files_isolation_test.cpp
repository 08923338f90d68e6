#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "files/isolation.h"

namespace backplane {
namespace {

using namespace std::chrono_literals;

/// A pipe from the test to a reader's child: the child is slow until the test writes.
struct Gate {
  Gate() { EXPECT_EQ(pipe(ends), 0); }
  ~Gate() {
    for (const int end : ends) close(end);
  }
  void open() const { EXPECT_EQ(write(ends[1], "o", 1), 1); }
  void pass() const {
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
  }
  int ends[2];
};

constexpr int kSent = 42;

/// The exit status of a process that reads a number from a child of its own, with three seconds of patience.
int read_patiently(const Gate& has_begun, const Gate& may_end) {
  int got = 0;
  try {
    run_in_child(
        "file.h5", {.memory = std::int64_t{1} << 30, .most_sent = 1 << 20, .patience = 3s},
        [&](ChildOutput& output) {
          has_begun.open();
          may_end.pass();
          output.number(kSent);
        },
        [&](ChildInput& input) { got = input.number<int>(); });
  } catch (const std::exception&) {
    return 1;
  }
  return got;
}

TEST(Isolation, DoesNotLosePatienceWhileBothAreStopped) {
  const Gate has_begun, may_end;
  const pid_t group = fork();
  ASSERT_GE(group, 0);
  if (group == 0) {
    setpgid(0, 0);
    _exit(read_patiently(has_begun, may_end));
  }
  has_begun.pass();
  std::this_thread::sleep_for(300ms);  // by now the reader waits
  ASSERT_EQ(kill(-group, SIGSTOP), 0);  // as Ctrl-Z does
  std::this_thread::sleep_for(4s);
  ASSERT_EQ(kill(-group, SIGCONT), 0);
  std::this_thread::sleep_for(300ms);  // the reader looks at its clock before there is anything to read
  may_end.open();
  int status = 0;
  ASSERT_EQ(waitpid(group, &status, 0), group);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), kSent);
}

}  // namespace
}  // namespace backplane
