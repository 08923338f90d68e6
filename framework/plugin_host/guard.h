#pragma once

#include <backplane/abi.h>

#include <string>
#include <string_view>

#include "base/exit_code.h"

namespace backplane {

/// Whose code a guarded call runs, in the words of a message about it; made beforehand, since nothing can be put
/// together when the call has crashed. Must outlive the call.
struct GuardedOwner {
  std::string before;  ///< "experiment.yaml:9:7: error: layer 'hidden': "
  std::string after;   ///< "  type lstm, plug-in org.example.lstm 1.0.0 (/lib/lstm.bp.so)\n", or ""
};

/// While one stands, this thread is inside a plug-in, and calls that do not come back end the program with a message
/// and exit code 70:
///   - a crash (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT): handled on a stack of its own, since the thread's may be
///     used up, or its stack pointer be in use for other things by generated code;
///   - exit(), quick_exit(), _exit(), _Exit() and daemon(), whatever exit code they ask for; and the return of a
///     process that the plug-in forked.
/// Crashes elsewhere end the program as they would without guard; so does a plug-in that asks the kernel itself
/// (syscall(SYS_exit_group)). Children that a plug-in forks may end as they like.
class PluginGuard {
 public:
  /// `function`: "forward"; must be a literal. `call`: says which step and samples, where it is a kernel's.
  PluginGuard(const GuardedOwner& owner, const char* function, const bp_call* call = nullptr);
  ~PluginGuard();
  PluginGuard(const PluginGuard&) = delete;
  PluginGuard& operator=(const PluginGuard&) = delete;

 private:
  friend struct GuardReport;
  const GuardedOwner& owner_;
  const char* function_;
  const bp_call* call_;
  const PluginGuard* outer_;
};

/// From now on guards do nothing in this process: whoever started it sees how it ends. Called before the first one.
void leave_unguarded();

/// The program's main, while it runs: exit() and the like are a fault then too where the thread is inside no plug-in,
/// as one that a plug-in has started.
class MainGuard {
 public:
  MainGuard();
  ~MainGuard();
  MainGuard(const MainGuard&) = delete;
  MainGuard& operator=(const MainGuard&) = delete;
};

/// Ends the program as the return of main would, but runs no handlers that plug-ins and libraries left for its end (as
/// by atexit): one that crashed or ended the process would put its exit code in the place of this one.
[[noreturn]] void end_program(ExitCode code);

/// How a signal that ends a process is called in messages: "a segmentation fault (SIGSEGV)".
std::string_view words_of_signal(int signal);

}  // namespace backplane
