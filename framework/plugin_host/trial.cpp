#include "plugin_host/trial.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>

#include "plugin_host/guard.h"

namespace backplane {

namespace {

constexpr std::chrono::seconds kPatience{60};  // a plug-in may load large libraries from a slow disk

[[noreturn]] void run_child(int pipe, pid_t parent, const std::function<void()>& load) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (const int null = ::open("/dev/null", O_WRONLY); null >= 0)
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, stream);
  if (::getppid() == parent) {
    try {
      load();
    } catch (const std::exception&) {  // it will be thrown again, where it is understood
    }
    [[maybe_unused]] const ssize_t written = ::write(pipe, "", 1);
  }
  for (;;) ::syscall(SYS_exit_group, 0);  // handlers that the plug-in left for the end are not run
}

/// Whether the child said that it came back, within the time that it has.
enum class Answer { returned, ended, none };

Answer wait_for_answer(int pipe) {
  pollfd waiting{pipe, POLLIN, 0};
  for (auto waited = kPatience.zero(); waited < kPatience;) {
    const int ready = ::poll(&waiting, 1, 1000);
    if (ready == 0) ++waited;
    if (ready <= 0) continue;
    char said = 0;
    const ssize_t got = ::read(pipe, &said, 1);
    if (got < 0 && errno == EINTR) continue;
    return got == 1 ? Answer::returned : Answer::ended;
  }
  return Answer::none;
}

}  // namespace

std::string why_loading_does_not_return(const std::function<void()>& load) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    run_child(ends[1], parent, load);
  }
  ::close(ends[1]);
  const Answer answer = child < 0 ? Answer::returned : wait_for_answer(ends[0]);
  ::close(ends[0]);
  if (child < 0) return {};
  if (answer == Answer::none) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (answer == Answer::returned) return {};
  if (answer == Answer::none) return fmt::format("its loading did not end within {} s", kPatience.count());
  if (WIFSIGNALED(status)) return fmt::format("its loading was ended by {}", words_of_signal(WTERMSIG(status)));
  return fmt::format("its loading ended the program with exit code {}", WEXITSTATUS(status));
}

}  // namespace backplane
