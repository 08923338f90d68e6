#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace backplane::fault {

/// What happens in place of a call that changes files.
enum class Action {
  io_error,       ///< EIO
  no_space,       ///< ENOSPC
  over_quota,     ///< EDQUOT
  interrupted,    ///< EINTR
  half,           ///< a write or pread of half of the bytes; other calls are let through
  power_failure,  ///< what was not synced is dropped from the directory, and the process ends with kPowerFailed
  killed          ///< SIGKILL
};

struct Fault {
  int at = 0;  ///< the number of the call, counted from 1
  Action action = Action::io_error;
};

/// Which calls fail. Counted are those that can change files under `directory`: open for writing, open of a directory
/// (to sync it), write, pread, fsync and close of what was so opened, rename, unlink, mkdir, ftruncate.
struct Plan {
  std::string directory;  ///< absolute; exists
  std::vector<Fault> faults;
  /// Of a loss of power. 0: everything that was not synced is lost. Else each unsynced change of a directory and each
  /// unsynced sector of a file survives or not by chance, of which this is the seed.
  std::uint64_t seed = 0;
};

constexpr int kPowerFailed = 99;

/// From now on the plan holds. What stands in the directory counts as synced. Any thread may make the calls.
void arm(const Plan& plan);
/// Nothing fails any more. Returns the calls counted since `arm`, as "fsync /path".
std::vector<std::string> disarm();
/// The power fails here and now, as by Action::power_failure.
[[noreturn]] void lose_power();
/// How often fsync was called on a file of which an fsync had failed: a second one may lie.
int repeated_fsyncs();

// The library is also loaded into whole programs by LD_PRELOAD; the plan is then read from the environment:
//   BP_FAULT_DIRECTORY, BP_FAULT_AT=5, BP_FAULT_ACTION=killed, BP_FAULT_SEED=0, BP_FAULT_LOG=FILE (gets the calls)

}  // namespace backplane::fault
