#include "plugin_host/guard.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/exit_code.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#if BP_COVERAGE
extern "C" void __gcov_dump();
#endif

namespace backplane {

namespace {

constexpr std::array kCrashes = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// libc's own, behind the one at the end of this file. Looked up beforehand: it is called in signal handlers.
const auto real_exit = reinterpret_cast<void (*)(int)>(::dlsym(RTLD_NEXT, "_exit"));

[[noreturn]] void leave(int code) {
  if (real_exit != nullptr) real_exit(code);
  for (;;) ::syscall(SYS_exit_group, code);
}

// Read by signal handlers: plain thread_local of the program itself, which needs no call to be reached.
thread_local const PluginGuard* innermost = nullptr;
std::atomic<pid_t> guarded_process = 0;  // not a child that was forked from it; 0: nothing is guarded yet
std::atomic<bool> is_main_running = false;
bool is_left_unguarded = false;  // written before the first guard
std::atomic_flag is_reporting;
bool is_copy = false;  // a process that a plug-in forked, which has not come back from it
static_assert(std::atomic<pid_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

/// A line put together without memory of the heap, for signal handlers.
class Line {
 public:
  Line& operator<<(std::string_view text) {
    const std::size_t size = std::min(text.size(), text_.size() - size_);
    std::memcpy(text_.data() + size_, text.data(), size);
    size_ += size;
    return *this;
  }
  Line& operator<<(std::uint64_t number) {
    std::array<char, 20> digits;
    std::size_t at = digits.size();
    do digits[--at] = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    return *this << std::string_view(digits.data() + at, digits.size() - at);
  }
  void print() const {
    for (std::size_t at = 0; at < size_;) {
      const ssize_t written = ::write(STDERR_FILENO, text_.data() + at, size_ - at);
      if (written < 0 && errno != EINTR) return;
      if (written > 0) at += static_cast<std::size_t>(written);
    }
  }

 private:
  std::array<char, 4096> text_;
  std::size_t size_ = 0;
};

/// The signal stack of a thread, as long as it lives.
class SignalStack {
 public:
  SignalStack() {
    stack_t present{};
    if (::sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0) return;  // it has one
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return;  // a crash will be reported on the thread's own stack, or by the shell
    memory_ = memory;
    const stack_t stack{.ss_sp = memory, .ss_flags = 0, .ss_size = kBytes};
    ::sigaltstack(&stack, nullptr);
  }
  ~SignalStack() {
    if (memory_ == nullptr) return;
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    ::sigaltstack(&none, nullptr);
    ::munmap(memory_, kBytes);
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  static constexpr std::size_t kBytes = 64 * 1024;  // a frame with AVX-512 and AMX state takes 11 KiB of it
  void* memory_ = nullptr;
};

}  // namespace

/// What the handlers say of a guarded call.
struct GuardReport {
  static void where(Line& line, const PluginGuard& guard) {
    const bp_call* call = guard.call_;
    if (call == nullptr) return;
    if ((call->flags & BP_CALL_TRAINING) != 0)
      line << " at step " << call->step;
    else
      line << " in an evaluation";
    if (call->samples > 0)
      line << ", samples " << static_cast<std::uint64_t>(call->sample_begin) << " to "
           << static_cast<std::uint64_t>(call->sample_begin + call->samples - 1) << " of the batch";
  }

  /// Says that the guarded call did `what`, and ends the process. One thread does; others wait for the end.
  template <class What>
  [[noreturn]] static void end_process(const PluginGuard& guard, What&& what, std::string_view hint) {
    if (is_reporting.test_and_set())
      for (;;) ::pause();
    Line line;
    line << guard.owner_.before << guard.function_;
    what(line);
    where(line, guard);
    line << "\n" << guard.owner_.after << "  hint: " << hint << "\n";
    line.print();
    leave(static_cast<int>(ExitCode::internal));
  }
};

namespace {

constexpr std::string_view kExitHint =
    "it is a defect of the plug-in: it reports failure by bp_host's error() or an exception, and never ends the "
    "program";

constexpr std::string_view kCrashHint =
    "it is a defect of the plug-in; a debugger stops where it happened: gdb --args backplane …";
constexpr std::string_view kShortHint =
    "the process has hardly any memory left (`ulimit -v`), which few libraries survive: a smaller batch, network or "
    "data "
    "set needs less";

/// Whether there is less than any thread's stack.
bool is_memory_short() {
  constexpr std::size_t kLittle = std::size_t{8} << 20;
  void* memory = ::mmap(nullptr, kLittle, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) ::munmap(memory, kLittle);
  return memory == MAP_FAILED;
}

void on_crash(int signal) {
  if (innermost != nullptr && ::getpid() == guarded_process)
    GuardReport::end_process(
        *innermost, [&](Line& line) { line << " was ended by " << words_of_signal(signal); },
        is_memory_short() ? kShortHint : kCrashHint);
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  ::raise(signal);  // delivered when the handler returns
}

/// The process is being ended by `function`, not by the return of main or by the program's own code: does not return
/// where that is a plug-in's doing.
void on_exit_by_others(const char* function, int code) {
  if (::getpid() != guarded_process) return;
  const auto what = [&](Line& line) {
    line << " ended the program by " << function << "(" << static_cast<std::uint64_t>(code & 0xFF) << ")";
  };
  if (innermost != nullptr) GuardReport::end_process(*innermost, what, kExitHint);
  if (!is_main_running) return;
  const GuardedOwner unknown{"error: ", ""};
  const PluginGuard guard(unknown, "a library, or a thread that a plug-in has started,");
  GuardReport::end_process(guard, what, kExitHint);
}

/// Handlers are installed where there are none, so that sanitizers keep theirs.
void guard_process() {
  guarded_process = ::getpid();
  for (const int signal : kCrashes) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action.sa_handler = on_crash;
    action.sa_flags = SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
  }
  ::on_exit([](int code, void*) { on_exit_by_others("exit", code); }, nullptr);
  ::pthread_atfork(nullptr, nullptr, [] { is_copy = innermost != nullptr; });
  std::at_quick_exit([] { on_exit_by_others("quick_exit", 0); });  // which code was asked for is not said
}

void guard_thread() {
  if (is_left_unguarded) return;
  [[maybe_unused]] static const bool is_process_guarded = (guard_process(), true);
  [[maybe_unused]] static const thread_local SignalStack stack;
}

}  // namespace

PluginGuard::PluginGuard(const GuardedOwner& owner, const char* function, const bp_call* call)
    : owner_(owner), function_(function), call_(call), outer_(innermost) {
  guard_thread();
  innermost = this;
}

PluginGuard::~PluginGuard() {
  if (is_copy)
    GuardReport::end_process(
        *this, [](Line& line) { line << " came back in another process, which it had forked"; }, kExitHint);
  innermost = outer_;
}

void leave_unguarded() {
  is_left_unguarded = true;
}

MainGuard::MainGuard() {
  is_main_running = true;
}

MainGuard::~MainGuard() {
  is_main_running = false;
}

void end_program(ExitCode code) {
  std::fflush(nullptr);
#if defined(__SANITIZE_ADDRESS__)
  __lsan_do_leak_check();  // it is a handler of the end as well
#endif
#if BP_COVERAGE
  __gcov_dump();  // likewise
#endif
  leave(static_cast<int>(code));
}

std::string_view words_of_signal(int signal) {
  switch (signal) {
    case SIGSEGV: return "a segmentation fault (SIGSEGV)";
    case SIGBUS: return "a bus error (SIGBUS)";
    case SIGFPE: return "an arithmetic error (SIGFPE), such as an integer divided by zero";
    case SIGILL: return "an illegal instruction (SIGILL)";
    case SIGABRT: return "abort() (SIGABRT): a failed assertion, an uncaught exception, or damaged memory";
    case SIGKILL: return "SIGKILL";
    case SIGALRM: return "SIGALRM";
    default: return "a signal";
  }
}

}  // namespace backplane

// The linker's: where the program's own code begins and ends.
extern "C" char __executable_start, etext;

namespace backplane {

namespace {

[[noreturn]] void exit_from(const void* caller, const char* function, int code) {
  const bool is_own = caller >= &__executable_start && caller < &etext;
  if (!is_own) on_exit_by_others(function, code);
  leave(code);
}

}  // namespace

}  // namespace backplane

// Not inlined: the return address is to be the caller's.
#define BP_IN_FRONT_OF_LIBC __attribute__((noreturn, noinline, visibility("default")))

// In front of libc's own for everything that is loaded: what skips the handlers of exit() would skip the guard too.
// It forks, and ends the process that the program was started as with 0, by a call that nothing stands in front of.
extern "C" __attribute__((noinline, visibility("default"))) int daemon(int stays_here, int keeps_streams) noexcept {
  backplane::on_exit_by_others("daemon", 0);
  static const auto real = reinterpret_cast<int (*)(int, int)>(::dlsym(RTLD_NEXT, "daemon"));
  return real(stays_here, keeps_streams);
}

extern "C" BP_IN_FRONT_OF_LIBC void _exit(int code) {
  backplane::exit_from(__builtin_return_address(0), "_exit", code);
}

extern "C" BP_IN_FRONT_OF_LIBC void _Exit(int code) noexcept {
  backplane::exit_from(__builtin_return_address(0), "_Exit", code);
}
