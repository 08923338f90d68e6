#include "plugin_host/trial.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>

#include "files/descriptor.h"
#include "plugin_host/guard.h"

namespace backplane {

namespace {

enum class Answer { none, returned, closed_descriptors };

/// Where the child answers: memory of both, since a plug-in may close a socket, or leave it open in a child of its own.
class SharedAnswer {
 public:
  static Descriptor make_file() {
    Descriptor file(::memfd_create("answer", MFD_CLOEXEC));
    if (file && ::ftruncate(file.number(), kBytes) != 0) file = Descriptor();
    return file;
  }

  /// Of zeros, which are Answer::none.
  explicit SharedAnswer(int file) : memory_(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)) {}
  ~SharedAnswer() {
    if (is_there()) ::munmap(memory_, kBytes);
  }
  SharedAnswer(const SharedAnswer&) = delete;
  SharedAnswer& operator=(const SharedAnswer&) = delete;

  bool is_there() const { return memory_ != MAP_FAILED; }
  std::atomic<Answer>& operator*() const { return *static_cast<std::atomic<Answer>*>(memory_); }

 private:
  static constexpr std::size_t kBytes = sizeof(std::atomic<Answer>);
  static_assert(std::atomic<Answer>::is_always_lock_free && static_cast<int>(Answer::none) == 0);
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

/// Those that an instruction causes, or abort(). Others stay blocked, as they are on the threads of a run.
void unblock_crashes() {
  sigset_t crashes;
  ::sigemptyset(&crashes);
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) ::sigaddset(&crashes, crash);
  ::sigprocmask(SIG_UNBLOCK, &crashes, nullptr);
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

void try_for_parent(const std::string& about, void (*work)(const std::string&)) {
  const SharedAnswer answer(kChildFile);
  for (const int own : {kChildConnection, kChildFile}) ::close(own);
  ::dup2(STDOUT_FILENO, STDERR_FILENO);  // what a sanitizer finds in a plug-in is not this program's
  unblock_crashes();
  leave_unguarded();
  const pid_t self = ::getpid();
  const Sentinel sentinel;
  try {
    work(about);
  } catch (const std::exception&) {  // it will be thrown again, where it is understood
  }
  // Not where the plug-in went on in a child of its own, and the process that was asked has ended.
  if (answer.is_there() && ::getpid() == self)
    *answer = sentinel.is_open() ? Answer::returned : Answer::closed_descriptors;
  for (;;) ::syscall(SYS_exit_group, 0);  // handlers that the plug-in left for the end are not run
}

std::string why_trial_does_not_return(const ChildJob& job, const std::string& about,
                                      std::chrono::milliseconds patience) try {
  const Descriptor file = SharedAnswer::make_file();
  const SharedAnswer answer(file.number());
  if (!answer.is_there()) return {};
  const StartedChild child = start_child(job, about, file.number());
  const std::optional<int> status = wait_for_end(child.process, patience);
  if (!status) {
    ::kill(child.process, SIGKILL);
    while (::waitpid(child.process, nullptr, 0) < 0 && errno == EINTR) {
    }
    return fmt::format("its loading did not end within {} s", std::chrono::duration<double>(patience).count());
  }
  if (*answer == Answer::returned) return {};
  if (*answer == Answer::closed_descriptors) return "its loading closed files that are not its own";
  if (WIFSIGNALED(*status)) return fmt::format("its loading was ended by {}", words_of_signal(WTERMSIG(*status)));
  return fmt::format("its loading ended the program with exit code {}", WEXITSTATUS(*status));
} catch (const std::system_error&) {
  return {};
}

}  // namespace backplane
