#include "experiment/signals.h"

#include <csignal>

namespace backplane {

namespace {

volatile std::sig_atomic_t stop_asked = 0;

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
