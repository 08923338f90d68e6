#include "experiment/signals.h"

#include <atomic>
#include <csignal>

namespace backplane {

namespace {

std::atomic<int> stop_asked = 0;  // lock-free, so that a handler on any thread may set it
static_assert(std::atomic<int>::is_always_lock_free);

void ask_to_stop(int signal) {
  if (stop_asked != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  stop_asked = 1;
}

}  // namespace

StopSignals::StopSignals() {
  stop_asked = 0;
  std::signal(SIGINT, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
}

StopSignals::~StopSignals() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool StopSignals::is_stop_asked() {
  return stop_asked != 0;
}

}  // namespace backplane
