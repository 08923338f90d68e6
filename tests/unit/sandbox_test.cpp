#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <string>
#include <thread>

#include "base/sanitizers.h"
#include "sandbox/run_in_child.h"
#include "sandbox/sandbox.h"
#include "files/temporary_file.h"
#include "support/model.h"
#include "support/process_state.h"

namespace backplane {
namespace {

using namespace std::chrono_literals;

/// Who passes waits until somebody opens. By its name, since a reader's child has no descriptor of the test.
class Gate {
 public:
  explicit Gate(const char* name) : folder_(name), path_(folder_.path("fifo")) {
    EXPECT_EQ(mkfifo(path_.c_str(), 0600), 0);
    end_ = ::open(path_.c_str(), O_RDWR);
  }
  ~Gate() { close(end_); }
  void open() const { EXPECT_EQ(write(end_, "o", 1), 1); }
  void pass() const {
    char byte = 0;
    const int end = ::open(path_.c_str(), O_RDONLY);
    EXPECT_EQ(read(end, &byte, 1), 1);
    close(end);
  }

 private:
  testing::TemporaryFolder folder_;
  std::string path_;
  int end_ = -1;
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
          output.number(kSent);
          output.flush();
          may_end.pass();
          output.number(kSent);
        },
        [&](ChildInput& input) {
          got = input.number<int>();
          has_begun.open();
          got = input.number<int>();
        });
  } catch (const std::exception&) {
    return 1;
  }
  return got;
}

TEST(Isolation, DoesNotLosePatienceWhileBothAreStopped) {
  const Gate has_begun("begun"), may_end("end");
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

/// The error of a child that does this, or what it sent.
std::string outcome_of(const std::function<int()>& work, int writes_to = -1) {
  std::string got;
  try {
    run_in_child(
        "file.h5", {.memory = std::int64_t{1} << 30, .most_sent = 1 << 20, .writes_to = writes_to},
        [&](ChildOutput& output) { output.number(work()); },
        [&](ChildInput& input) { got = std::to_string(input.number<int>()); });
  } catch (const UserError& error) {
    got = error.diagnostics().front().what;
  }
  return got;
}

#if defined(__x86_64__) && !BP_ADDRESS_SANITIZER && !BP_THREAD_SANITIZER

/// Whether this kernel filters calls: containers may have switched it off.
bool has_filter() {
  return prctl(PR_GET_SECCOMP) >= 0;
}

TEST(Isolation, AChildStartsNoProgramAndReachesNoNetwork) {
  if (!has_filter()) GTEST_SKIP() << "this kernel has no seccomp";
  const char* const killed =
      "reading it would have started a program or opened a network (SIGSYS): the file is damaged, or made to harm";
  EXPECT_EQ(outcome_of([] { return execl("/bin/true", "true", nullptr); }), killed);
  EXPECT_EQ(outcome_of([] { return socket(AF_INET, SOCK_STREAM, 0); }), killed);
}

TEST(Isolation, AChildWritesNoFileButItsOwn) {
  if (!has_filter()) GTEST_SKIP() << "this kernel has no seccomp";
  const testing::TemporaryFolder folder("isolation");
  const std::string path = folder.path("file"), other = folder.path("other");
  const TemporaryFile own(path);
  const auto open_to_write = [&] { return open(other.c_str(), O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0; };
  const auto write_own = [&] { return open(own.name_for_libraries().c_str(), O_RDWR) < 0 ? errno : 0; };
  EXPECT_EQ(outcome_of(open_to_write), std::to_string(EACCES));
  EXPECT_FALSE(std::filesystem::exists(other));
  EXPECT_EQ(outcome_of(write_own, own.descriptor()), "0");
  EXPECT_EQ(outcome_of([&] { return unlink(own.path().c_str()) != 0 ? 1 : 0; }, own.descriptor()), "1");
  EXPECT_EQ(outcome_of([] { return open("/proc/self/maps", O_RDONLY) < 0 ? errno : 0; }), "0");
}

TEST(Isolation, AChildSignalsNobodyAndMakesNoCode) {
  if (!has_filter()) GTEST_SKIP() << "this kernel has no seccomp";
  EXPECT_EQ(outcome_of([] { return kill(getppid(), 0) != 0 ? errno : 0; }), std::to_string(EPERM));
  EXPECT_EQ(outcome_of([] {
              void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return page == MAP_FAILED ? errno : 0;
            }),
            std::to_string(EACCES));
}

TEST(Isolation, AChildReadsItsLimitsAndChangesNone) {
  if (!has_filter()) GTEST_SKIP() << "this kernel has no seccomp";
  static rlimit limit{};
  EXPECT_EQ(outcome_of([] { return getrlimit(RLIMIT_NOFILE, &limit) != 0 ? errno : 0; }), "0");
  EXPECT_EQ(outcome_of([] { return setrlimit(RLIMIT_CORE, &limit) != 0 ? errno : 0; }), std::to_string(EPERM));
  EXPECT_EQ(outcome_of([] { return prlimit(getppid(), RLIMIT_CORE, nullptr, &limit) != 0 ? errno : 0; }),
            std::to_string(EPERM));
}

/// Makes this process one whose kernel has no such call.
void take_away(long call) {
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

TEST(Isolation, DescriptorsAreClosedByAnOldKernelToo) {
  if (!has_filter()) GTEST_SKIP() << "this kernel has no seccomp";
  const testing::TemporaryFolder folder("isolation");
  const TemporaryFile before(folder.path("before")), kept(folder.path("kept")), after(folder.path("after"));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    take_away(SYS_close_range);
    close_all_but({kept.descriptor()});
    const auto is_open = [](const TemporaryFile& file) { return fcntl(file.descriptor(), F_GETFD) >= 0; };
    _exit((is_open(before) ? 1 : 0) + (is_open(kept) ? 0 : 2) + (is_open(after) ? 4 : 0));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Isolation, AChildHasNoDescriptorOfItsParent) {
  const testing::TemporaryFolder folder("isolation");
  const TemporaryFile own(folder.path("own")), other(folder.path("other"));
  const auto is_open = [](int descriptor) { return fcntl(descriptor, F_GETFD) >= 0 ? 1 : 0; };
  EXPECT_EQ(outcome_of([&] { return is_open(other.descriptor()); }), "0");
  EXPECT_EQ(outcome_of([&] { return is_open(own.descriptor()); }, own.descriptor()), "1");
  EXPECT_EQ(outcome_of([&] { return is_open(other.descriptor()); }, own.descriptor()), "0");
}

#endif

}  // namespace
}  // namespace backplane
