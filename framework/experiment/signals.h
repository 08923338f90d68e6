#pragma once

namespace backplane {

/// While alive, SIGINT and SIGTERM ask the run to stop, and SIGUSR1 asks for a checkpoint. A second SIGINT or SIGTERM
/// ends the process at once, by that signal. Handlers may run on any thread; they only set flags.
///
/// Until `begin_polling` nobody looks at the flags, since nothing has been begun: SIGINT and SIGTERM then end the
/// process at once, with exit code 75 and a line that says so.
class StopSignals {
 public:
  StopSignals();
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
