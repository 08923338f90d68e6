#include "run/signals.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string_view>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/mutex.h"
#include "base/standard_streams.h"
#include "base/system_error.h"
#include "files/temporaries.h"

namespace backplane {

namespace {

constexpr std::array kStops = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};

constexpr std::string_view kNothingBegun =
    "stopped by a signal before training began: nothing was changed, nothing is lost\n";

/// Of who wants the process to end, with those who read what it prints.
constexpr std::chrono::seconds kPatience{2};

enum class Phase { unwatched, nothing_begun, polled, over };

// Written by the thread that waits for signals, read by the run.
std::atomic<bool> is_stop_asked_ = false, is_checkpoint_asked = false;

// Of the run that is alive, and what was asked of it.
Mutex mutex;
Phase phase BP_GUARDED_BY(mutex) = Phase::unwatched;
StopRequest request BP_GUARDED_BY(mutex);

/// Ends the process in the way in which it would have ended without us, so that its parent sees which signal it was.
[[noreturn]] void die_by(int signal) {
  remove_temporaries_at_end();
  std::signal(signal, SIG_DFL);
  sigset_t alone;
  sigemptyset(&alone);
  sigaddset(&alone, signal);
  pthread_sigmask(SIG_UNBLOCK, &alone, nullptr);
  ::raise(signal);
  ::_exit(128 + signal);  // the first process of a container: the kernel spares it what would end any other
}

void on_stop(int signal) {
  const MutexLock lock(mutex);
  // The mutex stays locked where the process ends: what fails elsewhere for want of a temporary directory is not said.
  if (phase == Phase::unwatched) die_by(signal);
  if (phase == Phase::nothing_begun) {
    remove_temporaries_at_end();
    pollfd messages{STDERR_FILENO, POLLOUT, 0};  // a terminal may be stopped, a reader asleep: nobody waits for them
    if (::poll(&messages, 1, 0) == 1 && (messages.revents & POLLOUT) != 0) {
      [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kNothingBegun.data(), kNothingBegun.size());
    }
    ::_exit(static_cast<int>(ExitCode::stopped));
  }
  switch (request(signal, StopRequest::Clock::now())) {
    case StopRequest::Answer::stop:
      is_stop_asked_ = true;
      if (phase == Phase::polled) bound_waiting_for_readers(kPatience);  // else its results wait for a reader
      break;
    case StopRequest::Answer::ignore: break;
    case StopRequest::Answer::end_at_once: die_by(signal);
  }
}

void on_checkpoint() {
  const MutexLock lock(mutex);
  if (phase == Phase::unwatched) die_by(SIGUSR1);
  is_checkpoint_asked = true;
}

/// Its usual effect, or that of a handler which was installed since, on this thread.
void on_end(int signal) {
  struct sigaction action {};
  if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) die_by(signal);
  sigset_t alone;
  sigemptyset(&alone);
  sigaddset(&alone, signal);
  ::raise(signal);
  pthread_sigmask(SIG_UNBLOCK, &alone, nullptr);
  pthread_sigmask(SIG_BLOCK, &alone, nullptr);
}

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/// What the waiting thread takes; what the process was started to ignore, as by nohup, stays ignored.
sigset_t taken_signals() {
  sigset_t taken;
  sigemptyset(&taken);
  for (const int signal : {SIGUSR1, SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGQUIT, SIGALRM, SIGVTALRM, SIGUSR2})
    if (!is_ignored(signal)) sigaddset(&taken, signal);
  return taken;
}

/// All but those that an instruction causes, which must reach the thread that executed it.
sigset_t asynchronous_signals() {
  sigset_t all;
  sigfillset(&all);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&all, own);
  return all;
}

[[noreturn]] void wait_for_signals(sigset_t taken) {
  pthread_setname_np(pthread_self(), "signals");
  pthread_sigmask(SIG_SETMASK, &taken, nullptr);  // what is not taken has its usual effect: Ctrl-Z stops the process
  while (true) {
    int signal = 0;
    if (sigwait(&taken, &signal) != 0) continue;
    if (signal == SIGUSR1)
      on_checkpoint();
    else if (std::ranges::find(kStops, signal) != kStops.end())
      on_stop(signal);
    else
      on_end(signal);
  }
}

}  // namespace

StopRequest::Answer StopRequest::operator()(int signal, Clock::time_point now) {
  if (!is_asked_) {
    is_asked_ = true;
    first_ = now;
    return Answer::stop;
  }
  const bool repeats_by_itself = signal == SIGHUP || signal == SIGXCPU;
  return repeats_by_itself || now - first_ < kAgain ? Answer::ignore : Answer::end_at_once;
}

void take_signals_on_one_thread() {
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
  const sigset_t taken = taken_signals(), blocked = asynchronous_signals();
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  try {
    std::thread(wait_for_signals, taken).detach();  // as long as the process
  } catch (const std::system_error& error) {
    throw UserError(ExitCode::io, "no thread could be started: " + reason_of(error.code().value()),
                    "`ulimit -u` and the container's limit say how many there may be");
  }
}

StopSignals::StopSignals() {
  const MutexLock lock(mutex);
  unbound_waiting_for_readers();
  is_stop_asked_ = is_checkpoint_asked = false;
  request = StopRequest();
  phase = Phase::nothing_begun;
}

StopSignals::~StopSignals() {
  const MutexLock lock(mutex);
  phase = Phase::over;
  request = StopRequest();
  is_stop_asked_ = false;
}

void StopSignals::begin_polling() {
  const MutexLock lock(mutex);
  phase = Phase::polled;
}

bool StopSignals::is_stop_asked() {
  return is_stop_asked_;
}

bool StopSignals::take_checkpoint_request() {
  return is_checkpoint_asked.load(std::memory_order_relaxed) && is_checkpoint_asked.exchange(false);
}

}  // namespace backplane
