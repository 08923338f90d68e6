#include "experiment/signals.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "base/exit_code.h"

namespace backplane {

namespace {

// Lock-free, so that a handler on any thread may use them.
std::atomic<bool> is_polled = false, is_stop_asked_ = false, is_checkpoint_asked = false;
std::atomic<pid_t> owner = 0;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<pid_t>::is_always_lock_free);

constexpr std::string_view kNothingBegun =
    "stopped by a signal before training began: nothing was changed, nothing is lost\n";

/// REQUIRES: called by a handler of this signal, which is blocked until the handler returns.
void die_by(int signal) {
  struct sigaction default_action {};
  default_action.sa_handler = SIG_DFL;
  ::sigaction(signal, &default_action, nullptr);
  ::raise(signal);
}

void on_stop(int signal) {
  const int before = errno;
  if (::getpid() != owner || is_stop_asked_.exchange(true)) {
    die_by(signal);
  } else if (!is_polled) {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kNothingBegun.data(), kNothingBegun.size());
    ::_exit(static_cast<int>(ExitCode::stopped));
  }
  errno = before;
}

void on_checkpoint(int) {
  is_checkpoint_asked = true;
}

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGUSR1};

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  is_polled = is_stop_asked_ = is_checkpoint_asked = false;
  owner = ::getpid();
  for (const int signal : kSignals) handle(signal, signal == SIGUSR1 ? on_checkpoint : on_stop);
}

StopSignals::~StopSignals() {
  for (const int signal : kSignals) handle(signal, SIG_DFL);
  is_stop_asked_ = false;
}

void StopSignals::begin_polling() {
  is_polled = true;
}

bool StopSignals::is_stop_asked() {
  return is_stop_asked_;
}

bool StopSignals::take_checkpoint_request() {
  return is_checkpoint_asked.load(std::memory_order_relaxed) && is_checkpoint_asked.exchange(false);
}

}  // namespace backplane
