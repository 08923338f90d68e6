#pragma once

namespace backplane {

enum class Writing { no, yes };

/// Gives up, for this process and for good, what parsing a file does not need: starting programs and processes,
/// sockets, looking into and signalling other processes, changing directories' entries, new executable memory, and,
/// unless it is to write, opening files for writing. Starting a program or a socket ends the process with SIGSYS,
/// whatever else is forbidden fails. Does what the kernel offers, in silence: without seccomp, or on another machine
/// than x86-64, privileges are dropped and nothing more.
void enter_sandbox(Writing writing);

}  // namespace backplane
