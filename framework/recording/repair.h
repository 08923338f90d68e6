#pragma once

#include <cstdint>
#include <string>

#include "sandbox/child_program.h"

namespace backplane {

struct Repair {
  std::string path;          ///< of the trace
  std::int64_t records = 0;  ///< that are complete
  std::int64_t first_step = 0, last_step = 0;
  bool was_needed = false;
};

/// Closes a trace whose writer was killed, so that any program opens it, not only readers in SWMR mode. `path`: a
/// trace, or the directory of its run.
///
/// The complete records are copied as they are stored into a new file in the same directory, which takes the old
/// one's place once it is synced and read back: the old file stands until then, whatever happens. (To clear the mark in
/// place, as h5clear does, is not enough: the end of the file that a killed writer left written down is too small, and
/// what lies behind it could not be read.)
///
/// Throws UserError: no_input where there is no trace; bad_data where it is none, or damaged; io where its writer
/// lives, or the copy cannot be written.
Repair repair_trace(const std::string& path);

/// What the children of repair_trace do.
extern const ChildJob kLookAtTrace;

}  // namespace backplane
