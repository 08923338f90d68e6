#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "files/descriptor.h"

namespace backplane {

/// Whether a file that stands where a command is to write may be replaced.
enum class Existing { replace, refuse };

/// Where a command was told to write, settled before hours of work that end in it. What is no file, as /dev/null, a
/// FIFO or a stream of this process (/dev/stdout, /dev/fd/N), is opened at once: later its name may lead to a file that
/// the command itself has open by then.
class Output {
 public:
  /// Throws UserError (io) where nothing could be written.
  explicit Output(std::string path, Existing existing = Existing::replace);

  const std::string& path() const { return path_; }

  /// A new file appears whole or not at all, with the permissions that the umask leaves; a file that is there is
  /// replaced in the same way and keeps its permissions, unless it is read-only; a link is followed, and what it leads
  /// to is written. What is no file is written into and stays what it is. Throws UserError (io).
  void write(std::string_view bytes) const;

 private:
  std::string path_;
  Existing existing_;
  Descriptor stream_;  ///< of what is no file
};

/// The descriptor of this process that a path names, links followed: 1 for /dev/stdout, 3 for /proc/thread-self/fd/3.
std::optional<int> stream_of(const std::string& path);

}  // namespace backplane
