#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "files/temporary_file.h"
#include "recorder/trace_file.h"
#include "sandbox/child_program.h"

namespace backplane {

/// Has a child copy the records up to a step from a trace that may be damaged into a new one of this layout. Returns
/// the last step that each series has then; 0: none. Throws UserError: io where no child can be started, or the copy
/// cannot be written; bad_data where the trace cannot be read, or is laid out otherwise.
std::vector<std::int64_t> copy_records_in_child(const std::string& from, std::int64_t last_step,
                                                const TraceLayout& layout, Compression compression,
                                                const TemporaryFile& copy);

/// What the child does.
extern const ChildJob kCopyRecords;

}  // namespace backplane
