#pragma once

namespace backplane {

/// While alive, SIGINT and SIGTERM ask the run to stop at the next step; a second one ends the process at once.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static bool is_stop_asked();
};

}  // namespace backplane
