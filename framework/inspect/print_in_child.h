#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/run_in_child.h"

namespace backplane {

/// Prints a piece of text.
using Print = std::function<void(std::string_view)>;

/// Has a child do a job that opens `files`, as run_in_child. Its memory and computing time are bounded, the time by
/// what the files' sizes give reason for. Throws UserError as sandbox/run_in_child.h says, in safe characters too.
void look_in_child(const std::vector<std::string>& files, const ChildJob& job,
                   const std::function<void(ByteWriter& request)>& ask,
                   const std::function<void(ByteReader& answer)>& receive, int writes_to = -1);

/// In the child: prints what the request asks for, and returns a number.
using Printing = int (*)(ByteReader& request, const Print& print);

void answer_with_text(Printing printing, ByteReader& request, ByteWriter& answer);

template <Printing printing>
void answer_with_text_of(ByteReader& request, ByteWriter& answer) {
  answer_with_text(printing, request, answer);
}

/// A job for print_in_child, to stand in the program's table.
template <Printing printing>
constexpr ChildJob printing_job(const char* name) {
  return reading_job<answer_with_text_of<printing>>(name);
}

/// Likewise, of a job that prints: the parent prints what comes, made safe for a terminal, and never touches the files.
/// Returns what the job returns.
int print_in_child(const std::vector<std::string>& files, const ChildJob& job,
                   const std::function<void(ByteWriter& request)>& ask, const Print& print);

}  // namespace backplane
