#pragma once

#include <chrono>
#include <string_view>

namespace backplane {

/// Writes all of it to a stream, and waits for a reader that sleeps, also where the stream is non-blocking. Returns 0,
/// the errno of the write that failed, or EAGAIN where waiting is bounded and the reader slept longer. [any thread]
int write_all(int stream, std::string_view bytes);

/// Writes to stderr: behind what was kept for later, and when its reader has room for all of it. What nobody can be
/// given any more (closed, full, without a reader) is lost, and no error. [any thread]
void write_message(std::string_view text);

/// Likewise, but never waits, as training must not for a reader that sleeps or a terminal that was stopped (Ctrl-S):
/// what does not go at once is kept for the next message, up to some 64 KiB, and lost beyond. Returns whether nothing
/// is kept now. [any thread]
bool write_message_without_waiting(std::string_view text);

/// From now on nothing here waits longer than this: somebody wants the process to end. [any thread]
void bound_waiting_for_readers(std::chrono::milliseconds patience);
/// And no longer. [any thread]
void unbound_waiting_for_readers();

}  // namespace backplane
