#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "sandbox/byte_stream.h"
#include "sandbox/child_program.h"

namespace backplane {

/// What a child may take before it is ended and its file called damaged.
struct ChildLimits {
  std::int64_t memory;          ///< bytes beyond what the program has mapped as it starts; unbounded under sanitizers
  std::int64_t most_sent;       ///< bytes that the parent takes from it
  std::chrono::seconds cpu{0};  ///< time of computing; 0: unbounded
  std::chrono::seconds patience{60};  ///< without a byte sent; time that both are stopped (Ctrl-Z) does not count
};

/// What a child does: takes the request apart, all of it, then parses the file and sends what is asked for.
using Reading = void (*)(ByteReader& request, ByteWriter& answer);

/// In the child: the other half of run_in_child. Ends the process.
[[noreturn]] void answer_parent(const std::string& file, Reading reading);

/// A job for run_in_child, to stand in the program's table.
template <Reading reading>
constexpr ChildJob reading_job(const char* name) {
  return {name, [](const std::string& file) { answer_parent(file, reading); }};
}

/// Starts a child for a job, sends it what `ask` writes, and runs `receive` on what it answers, so that a crash of the
/// library that parses `file` is an error of the file. An exception in the child is thrown here, once what it sent
/// before has been received: UserError with its code and first diagnostic, any other as bad_data of `file`. Where no
/// child can be started, or where somebody kills it, the error is io.
///
/// The child has no descriptor of this process but a socket to it and, as kChildFile, `writes_to` (-1: none), which
/// alone lets it write files. It can start no program, reach no network and open no other file for writing where the
/// kernel offers to forbid it (sandbox/sandbox.h; not under sanitizers). It makes no core file, keeps silent on stderr
/// (but for what a sanitizer finds), leaves SIGINT, SIGTERM, SIGHUP and SIGUSR1 to this process, and is gone when this
/// returns. Where this process dies, the child does.
///
/// Called on any thread, whatever others do.
void run_in_child(const std::string& file, const ChildLimits& limits, const ChildJob& job,
                  const std::function<void(ByteWriter& request)>& ask,
                  const std::function<void(ByteReader& answer)>& receive, int writes_to = -1);

}  // namespace backplane
