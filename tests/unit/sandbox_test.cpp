#include <fcntl.h>
#include <gtest/gtest.h>
#include <hdf5.h>
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

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/sanitizers.h"
#include "sandbox/run_in_child.h"
#include "files/temporary_file.h"
#include "support/model.h"
#include "support/process_state.h"
#include "unit/child_jobs.h"

namespace backplane {
namespace {

using namespace std::chrono_literals;

/// Who passes waits until somebody opens. By its name, since a child has no descriptor of the test.
class Gate {
 public:
  explicit Gate(const char* name) : folder_(name), path_(folder_.path("fifo")) {
    EXPECT_EQ(mkfifo(path_.c_str(), 0600), 0);
    end_ = ::open(path_.c_str(), O_RDWR);
  }
  ~Gate() { close(end_); }
  void open() const { EXPECT_EQ(write(end_, "o", 1), 1); }
  void pass() const { pass(path_); }
  static void pass(const std::string& path) {
    char byte = 0;
    const int end = ::open(path.c_str(), O_RDONLY);
    EXPECT_EQ(read(end, &byte, 1), 1);
    close(end);
  }
  const std::string& path() const { return path_; }

 private:
  testing::TemporaryFolder folder_;
  std::string path_;
  int end_ = -1;
};

constexpr int kSent = 42;
constexpr std::chrono::seconds kPatience{5};
constexpr ChildLimits kLimits{.memory = std::int64_t{1} << 30, .most_sent = 1 << 20, .patience = kPatience};

/// Until a process, which has slept so often, has slept twice more (its clock rang, and it waits again), or has ended.
void wait_for_two_sleeps(const std::string& process, long before) {
  while (testing::state_of(process) != 'Z' && testing::sleeps_of(process) < before + 2) std::this_thread::yield();
}

/// In the child: sends its process and a number, waits at a gate, and sends the number again.
void send_patiently(ByteReader& request, ByteWriter& answer) {
  const std::string gate = request.text();
  answer.number(getpid());
  answer.number(kSent);
  answer.flush();
  Gate::pass(gate);
  answer.number(kSent);
}

/// The exit status of a process that reads a number from a child of its own.
int read_patiently(const Gate& has_begun, const Gate& may_end) {
  int got = 0;
  try {
    run_in_child(
        "file.h5", kLimits, testing::kSendPatiently, [&](ByteWriter& request) { request.text(may_end.path()); },
        [&](ByteReader& answer) {
          answer.number<pid_t>();
          got = answer.number<int>();
          has_begun.open();
          got = answer.number<int>();
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

TEST(Isolation, AParentThatIsKilledLeavesNoChild) {
  const Gate may_end("end");
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    run_in_child(
        "file.h5", kLimits, testing::kSendPatiently, [&](ByteWriter& request) { request.text(may_end.path()); },
        [&](ByteReader& answer) {
          const auto child = answer.number<pid_t>();
          EXPECT_EQ(write(ends[1], &child, sizeof child), ssize_t{sizeof child});
          answer.number<int>();
          answer.number<int>();
        });
    _exit(0);
  }
  pid_t child = 0;
  ASSERT_EQ(read(ends[0], &child, sizeof child), ssize_t{sizeof child});
  for (const int end : ends) close(end);
  EXPECT_NE(testing::state_of(std::to_string(child)), 0);
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  ASSERT_EQ(waitpid(parent, nullptr, 0), parent);
  const auto is_alive = [&] {
    const char state = testing::state_of(std::to_string(child));
    return state != 0 && state != 'Z';  // whose child it is now may not wait for it
  };
  while (is_alive()) std::this_thread::yield();
}

/// What children do, by name. Each is told a text.
const std::map<std::string, int (*)(const std::string&)> kDeeds = {
    {"start a program", [](const std::string& program) { return execl(program.c_str(), "x", nullptr); }},
    {"open a socket", [](const std::string&) { return socket(AF_INET, SOCK_STREAM, 0); }},
    {"open to read", [](const std::string& path) { return open(path.c_str(), O_RDONLY) < 0 ? errno : 0; }},
    {"open to write",
     [](const std::string& path) { return open(path.c_str(), O_RDWR | O_CREAT, 0600) < 0 ? errno : 0; }},
    {"write the file handed over",
     [](const std::string&) {
       const std::string name = "/proc/self/fd/" + std::to_string(kChildFile);
       return open(name.c_str(), O_RDWR) < 0 ? errno : 0;
     }},
    {"remove", [](const std::string& path) { return unlink(path.c_str()) != 0 ? 1 : 0; }},
    {"signal its parent", [](const std::string&) { return kill(getppid(), 0) != 0 ? errno : 0; }},
    {"make code",
     [](const std::string&) {
       void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       return page == MAP_FAILED ? errno : 0;
     }},
    {"read its limits",
     [](const std::string&) {
       rlimit limit{};
       return getrlimit(RLIMIT_NOFILE, &limit) != 0 ? errno : 0;
     }},
    {"change its limits",
     [](const std::string&) {
       const rlimit limit{};
       return setrlimit(RLIMIT_CORE, &limit) != 0 ? errno : 0;
     }},
    {"read its parent's limits",
     [](const std::string&) {
       rlimit limit{};
       return prlimit(getppid(), RLIMIT_CORE, nullptr, &limit) != 0 ? errno : 0;
     }},
    {"count its descriptors",
     [](const std::string&) {
       int count = 0;
       for (int descriptor = 0; descriptor < 1024; ++descriptor) count += fcntl(descriptor, F_GETFD) >= 0 ? 1 : 0;
       return count;
     }},
    {"find a signal that is blocked, or SIGALRM that is handled",
     [](const std::string&) {
       sigset_t blocked;
       sigprocmask(SIG_SETMASK, nullptr, &blocked);
       for (int signal = 1; signal < 32; ++signal)
         if (sigismember(&blocked, signal) != 0) return signal;
       struct sigaction action {};
       sigaction(SIGALRM, nullptr, &action);
       return action.sa_handler == SIG_DFL ? 0 : SIGALRM;
     }},
};

void do_deed(ByteReader& request, ByteWriter& answer) {
  const std::string name = request.text();
  answer.number(kDeeds.at(name)(request.text()));
}

/// The error of a child that does this, or what it sent.
std::string outcome_of(const std::string& deed, const std::string& text = {}, int writes_to = -1) {
  std::string got;
  const auto ask = [&](ByteWriter& request) {
    request.text(deed);
    request.text(text);
  };
  try {
    run_in_child(
        "file.h5", kLimits, testing::kDoDeed, ask,
        [&](ByteReader& answer) { got = std::to_string(answer.number<int>()); }, writes_to);
  } catch (const UserError& error) {
    got = error.diagnostics().front().what;
  }
  return got;
}

constexpr int kStreams = 3;

TEST(Isolation, AChildHasNoDescriptorOfItsParent) {
  const testing::TemporaryFolder folder("isolation");
  const TemporaryFile own(folder.path("own"));
  const int inherited = open("/dev/null", O_RDONLY);  // by what starts a program without care
  EXPECT_EQ(outcome_of("count its descriptors"), std::to_string(kStreams + 1));
  EXPECT_EQ(outcome_of("count its descriptors", {}, own.descriptor()), std::to_string(kStreams + 2));
  close(inherited);
}

TEST(Isolation, AChildBeginsWithoutItsParentsSignals) {
  struct sigaction before {
  }, handled{};
  handled.sa_handler = [](int) {};
  sigaction(SIGALRM, &handled, &before);
  sigset_t all, unblocked;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &unblocked);
  EXPECT_EQ(outcome_of("find a signal that is blocked, or SIGALRM that is handled"), "0");
  pthread_sigmask(SIG_SETMASK, &unblocked, nullptr);
  sigaction(SIGALRM, &before, nullptr);
}

/// In the child: adds up a request that is larger than what a socket takes.
void sum_up(ByteReader& request, ByteWriter& answer) {
  const std::string bytes = request.text();
  answer.number(std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0}));
}

/// A fork would wait for ever for what those threads hold.
TEST(Isolation, ChildrenAreStartedWhileOtherThreadsAreInsideOfLibraries) {
  std::atomic<bool> goes_on = true;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      while (goes_on) std::vector<std::string>(64, std::string(999, 'x')).resize(7);
    });
  threads.emplace_back([&] {
    while (goes_on) H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  });
  const std::string large(3 << 20, '\1');
  std::vector<std::jthread> askers;
  for (int i = 0; i < 4; ++i)
    askers.emplace_back([&] {
      for (int time = 0; time < 5; ++time)
        run_in_child(
            "file.h5", kLimits, testing::kSumUp, [&](ByteWriter& request) { request.text(large); },
            [&](ByteReader& answer) { EXPECT_EQ(answer.number<std::int64_t>(), std::ssize(large)); });
    });
  askers.clear();
  goes_on = false;
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
  EXPECT_EQ(outcome_of("start a program", "/bin/true"), killed);
  EXPECT_EQ(outcome_of("open a socket"), killed);
}

TEST(Isolation, AChildWritesNoFileButItsOwn) {
  if (!has_filter()) GTEST_SKIP() << "this kernel has no seccomp";
  const testing::TemporaryFolder folder("isolation");
  const std::string path = folder.path("file"), other = folder.path("other");
  const TemporaryFile own(path);
  EXPECT_EQ(outcome_of("open to write", other), std::to_string(EACCES));
  EXPECT_FALSE(std::filesystem::exists(other));
  EXPECT_EQ(outcome_of("write the file handed over", {}, own.descriptor()), "0");
  EXPECT_EQ(outcome_of("remove", own.path(), own.descriptor()), "1");
  EXPECT_EQ(outcome_of("open to read", "/proc/self/maps"), "0");
}

TEST(Isolation, AChildSignalsNobodyAndMakesNoCode) {
  if (!has_filter()) GTEST_SKIP() << "this kernel has no seccomp";
  EXPECT_EQ(outcome_of("signal its parent"), std::to_string(EPERM));
  EXPECT_EQ(outcome_of("make code"), std::to_string(EACCES));
}

TEST(Isolation, AChildReadsItsLimitsAndChangesNone) {
  if (!has_filter()) GTEST_SKIP() << "this kernel has no seccomp";
  EXPECT_EQ(outcome_of("read its limits"), "0");
  EXPECT_EQ(outcome_of("change its limits"), std::to_string(EPERM));
  EXPECT_EQ(outcome_of("read its parent's limits"), std::to_string(EPERM));
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
  const int inherited = open("/dev/null", O_RDONLY);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    take_away(SYS_close_range);
    _exit(outcome_of("count its descriptors") == std::to_string(kStreams + 1) ? 0 : 1);
  }
  close(inherited);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

#endif

}  // namespace

const ChildJob testing::kSendPatiently = reading_job<send_patiently>("test-send-patiently");
const ChildJob testing::kDoDeed = reading_job<do_deed>("test-do-deed");
const ChildJob testing::kSumUp = reading_job<sum_up>("test-sum-up");

}  // namespace backplane
