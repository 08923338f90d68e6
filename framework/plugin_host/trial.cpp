#include "plugin_host/trial.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <exception>
#include <new>
#include <optional>
#include <thread>

#include "files/descriptor.h"
#include "plugin_host/guard.h"

namespace backplane {

namespace {

enum class Answer { none, returned, closed_descriptors };

/// Where the child answers: memory of both, since a plug-in may close a pipe, or leave it open in a child of its own.
class SharedAnswer {
 public:
  SharedAnswer() : memory_(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (is_there()) new (memory_) std::atomic(Answer::none);
  }
  ~SharedAnswer() {
    if (is_there()) ::munmap(memory_, kBytes);
  }
  SharedAnswer(const SharedAnswer&) = delete;
  SharedAnswer& operator=(const SharedAnswer&) = delete;

  bool is_there() const { return memory_ != MAP_FAILED; }
  std::atomic<Answer>& operator*() const { return *static_cast<std::atomic<Answer>*>(memory_); }

 private:
  static constexpr std::size_t kBytes = sizeof(std::atomic<Answer>);
  static_assert(std::atomic<Answer>::is_always_lock_free);
  void* memory_;
};

/// A descriptor that is nobody else's, to see whether it stays open.
class Sentinel {
 public:
  Sentinel() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    end_ = Descriptor(ends[0]);
    other_ = Descriptor(ends[1]);
    inode_ = inode();
  }
  bool is_open() const { return !end_ || inode() == inode_; }

 private:
  ino_t inode() const {
    struct stat status {};
    return ::fstat(end_.number(), &status) == 0 ? status.st_ino : 0;
  }
  Descriptor end_, other_;
  ino_t inode_ = 0;
};

[[noreturn]] void run_child(std::atomic<Answer>& answer, pid_t parent, const std::function<void()>& load) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (const int null = ::open("/dev/null", O_WRONLY); null >= 0)
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, stream);
  const pid_t self = ::getpid();
  if (::getppid() == parent) {
    const Sentinel sentinel;
    try {
      load();
    } catch (const std::exception&) {  // it will be thrown again, where it is understood
    }
    // Not where the plug-in went on in a child of its own, and the process that was asked has ended.
    if (::getpid() == self) answer = sentinel.is_open() ? Answer::returned : Answer::closed_descriptors;
  }
  for (;;) ::syscall(SYS_exit_group, 0);  // handlers that the plug-in left for the end are not run
}

/// How the child ended, or nothing where it did not within the time that it has.
std::optional<int> wait_for_end(pid_t child, std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point last = Clock::now() + patience;
  while (Clock::now() < last) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) return 0;  // whoever started this process has it ignore the end of children
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return std::nullopt;
}

}  // namespace

std::string why_loading_does_not_return(const std::function<void()>& load, std::chrono::milliseconds patience) {
  const SharedAnswer answer;
  if (!answer.is_there()) return {};
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return {};
  if (child == 0) run_child(*answer, parent, load);
  const std::optional<int> status = wait_for_end(child, patience);
  if (!status) {
    ::kill(child, SIGKILL);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return fmt::format("its loading did not end within {} s", std::chrono::duration<double>(patience).count());
  }
  if (*answer == Answer::returned) return {};
  if (*answer == Answer::closed_descriptors) return "its loading closed files that are not its own";
  if (WIFSIGNALED(*status)) return fmt::format("its loading was ended by {}", words_of_signal(WTERMSIG(*status)));
  return fmt::format("its loading ended the program with exit code {}", WEXITSTATUS(*status));
}

}  // namespace backplane
