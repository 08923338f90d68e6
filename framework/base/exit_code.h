#pragma once

namespace backplane {

/// Exit codes of the program. They are a contract with scripts: add, never renumber.
enum class ExitCode : int {
  ok = 0,
  different = 1,   ///< what was compared is not the same
  usage = 64,      ///< the command line is wrong
  bad_data = 65,   ///< a data set or checkpoint is damaged, foreign or inconsistent
  no_input = 66,   ///< a file that was asked for does not exist or cannot be read
  internal = 70,   ///< a plug-in broke its contract, or the program has a fault
  diverged = 76,   ///< the loss became NaN or infinite
  io = 74,         ///< writing failed: disk full, no permission, locked
  stopped = 75,    ///< stopped by a signal; a checkpoint was committed
  bad_config = 78  ///< the experiment's YAML (or --set) is wrong
};

}  // namespace backplane
