#pragma once

#include <chrono>
#include <csignal>

namespace backplane {

/// What a run makes of the signals that ask it to stop: a pure function of which came when.
///
/// A first one asks for a stop. A later one ends the process at once, if a person or a script sent it on purpose:
/// SIGINT or SIGTERM, at least kAgain after the first. Closer ones are echoes of the first: `timeout` signals the
/// process and its group, systemd sends SIGTERM and SIGHUP together. SIGHUP, sent by a shell and by its terminal, and
/// SIGXCPU, sent every second, repeat by themselves.
class StopRequest {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kAgain{500};

  enum class Answer { stop, ignore, end_at_once };
  Answer operator()(int signal, Clock::time_point now);

 private:
  bool is_asked_ = false;
  Clock::time_point first_;
};

/// Takes the signals of this process from now on: a thread of its own waits for them, and every other thread, whichever
/// library starts it, has them blocked. So no handler ever runs on a thread that computes: where its kernels keep the
/// stack pointer inside of data, as oneDNN's do (oneDNN issue 4845), a handler's frame would overwrite that data.
/// Handlers that others install, a profiler or a plug-in, run on that thread as well.
///
/// What ends the process, SIGQUIT, SIGALRM, SIGVTALRM and SIGUSR2 too, removes its temporary files before.
///
/// SIGINT, SIGTERM, SIGHUP and SIGXCPU end the process as they would anyway, unless a StopSignals is alive; one that
/// the process was started to ignore stays ignored. SIGPIPE and SIGXFSZ are ignored: the write that caused them fails.
///
/// REQUIRES: called once, by the first thread, before it starts others.
void take_signals_on_one_thread();

/// While alive, SIGINT, SIGTERM, SIGHUP and SIGXCPU ask the run to stop, see StopRequest, and SIGUSR1 asks for a
/// checkpoint. Without take_signals_on_one_thread, as in tests, nothing is ever asked.
///
/// Until `begin_polling` nobody looks, since nothing has been begun: what asks for a stop then ends the process at
/// once, with exit code 75 and a line that says so.
class StopSignals {
 public:
  StopSignals();
  /// What comes later finds the work done: SIGUSR1 does nothing, nor does the first that asks for a stop. A second one,
  /// see StopRequest, ends the process, whose results may be waiting for a reader.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// From here on the caller asks `is_stop_asked` between pieces of work.
  static void begin_polling();
  static bool is_stop_asked();
  /// Whether SIGUSR1 came since the last call.
  static bool take_checkpoint_request();
};

}  // namespace backplane
