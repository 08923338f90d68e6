#pragma once

#include <chrono>
#include <string>

#include "sandbox/child_program.h"

namespace backplane {

/// In the child: the other half of why_trial_does_not_return. Ends the process.
[[noreturn]] void try_for_parent(const std::string& about, void (*work)(const std::string& about));

/// A job for why_trial_does_not_return, to stand in the program's table: runs code that may not come back.
template <void (*work)(const std::string& about)>
constexpr ChildJob trial_job(const char* name) {
  return {name, [](const std::string& about) { try_for_parent(about, work); }};
}

/// Does a job, which runs a plug-in's code, in a child process first. Returns why that did not come back, as the end of
/// the sentence "plug-in …: …", or "" where it did, with or without an exception, and where no child can be started.
/// It comes back where the child itself does, with its descriptors open: one that goes on as a child of its own has
/// ended the program. After `patience`, which is long since large libraries may come from a slow disk, the child is
/// killed. It prints nothing. Called on any thread.
std::string why_trial_does_not_return(const ChildJob& job, const std::string& about,
                                      std::chrono::milliseconds patience = std::chrono::seconds{60});

}  // namespace backplane
