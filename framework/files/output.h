#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace backplane {

/// Whether a file that stands where a command is to write may be replaced.
enum class Existing { replace, refuse };

/// Whether `write_output` could write there, asked before hours of work that end in it. Throws UserError (io).
void require_writable(const std::string& path, Existing existing = Existing::replace);

/// Writes what a command was told to write there. A new file appears whole or not at all, with the permissions that the
/// umask leaves; a file that is there is replaced in the same way and keeps its permissions, unless it is read-only; a
/// link is followed, and what it leads to is written. What is no file, as /dev/null, a FIFO or /dev/stdout, is written
/// into and stays what it is. Throws UserError (io).
void write_output(const std::string& path, std::string_view bytes, Existing existing = Existing::replace);

/// The descriptor of this process that a path names: 1 for /dev/stdout.
std::optional<int> stream_of(std::string_view path);

}  // namespace backplane
