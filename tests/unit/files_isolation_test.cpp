#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "files/isolation.h"
#include "support/process_state.h"

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
constexpr std::chrono::seconds kPatience{5};

/// Until a process, which has slept so often, has slept twice more (its clock rang, and it waits again), or has ended.
void wait_for_two_sleeps(const std::string& process, long before) {
  while (testing::state_of(process) != 'Z' && testing::sleeps_of(process) < before + 2) std::this_thread::yield();
}

/// The exit status of a process that reads a number from a child of its own.
int read_patiently(const Gate& has_begun, const Gate& may_end) {
  int got = 0;
  try {
    run_in_child(
        "file.h5", {.memory = std::int64_t{1} << 30, .most_sent = 1 << 20, .patience = kPatience},
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
  const std::string reader = std::to_string(group);
  while (testing::state_of(reader) != 'S') std::this_thread::yield();
  ASSERT_EQ(kill(-group, SIGSTOP), 0);  // as Ctrl-Z does
  int status = 0;
  ASSERT_EQ(waitpid(group, &status, WUNTRACED), group);
  ASSERT_TRUE(WIFSTOPPED(status));
  std::this_thread::sleep_for(kPatience + 1s);  // what is tested: the clock goes on, and does not count
  const long sleeps = testing::sleeps_of(reader);
  ASSERT_EQ(kill(-group, SIGCONT), 0);
  wait_for_two_sleeps(reader, sleeps);  // it has looked at its clock, and there was nothing to read
  may_end.open();
  ASSERT_EQ(waitpid(group, &status, 0), group);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), kSent);
}

}  // namespace
}  // namespace backplane
