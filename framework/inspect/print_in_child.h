#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace backplane {

/// Prints a piece of text.
using Print = std::function<void(std::string_view)>;

/// Runs a job in a child that opens `files` and prints; the parent prints what comes, made safe for a terminal, and
/// never touches the files. Memory and computing time of the child are bounded, the time by what the files' sizes
/// give reason for. `writes_to`: a descriptor that the job writes a file by. Returns what the job returns. Throws
/// UserError as sandbox/run_in_child.h says, in safe characters too.
int print_in_child(const std::vector<std::string>& files, const std::function<int(const Print&)>& job,
                   const Print& print, int writes_to = -1);

}  // namespace backplane
