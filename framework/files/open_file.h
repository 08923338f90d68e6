#pragma once

#include <ext/stdio_filebuf.h>
#include <sys/types.h>

#include <cstddef>
#include <istream>
#include <string>

#include "base/system_error.h"
#include "files/descriptor.h"

namespace backplane {

/// Whether the last name of a path may be a link. Inside a run directory none may: whoever made the directory would
/// choose what is read and written outside it.
enum class Links { follow, refuse };

/// A regular file, opened, or why it is not. Opening never waits: neither for the other end of a FIFO nor for a device.
struct OpenedFile {
  Descriptor file;
  std::string why;          ///< where it is not open: "there is no such file", "is a FIFO, not a regular file", …
  bool is_missing = false;  ///< nothing has that name
  int error = 0;            ///< the system's errno where it refused; 0: what stands there is no regular file

  explicit operator bool() const { return static_cast<bool>(file); }
  /// Of the failure of what was to be read: no_input, or io where the system failed.
  ExitCode code() const { return error == 0 ? ExitCode::no_input : code_of_reading(error); }
};

/// Opens for reading.
OpenedFile open_regular(const std::string& path, Links links = Links::follow);
/// Opens for what `flags` say (O_WRONLY, O_APPEND, O_CREAT, …); a file that is made gets `mode`, less the umask.
OpenedFile open_regular(const std::string& path, Links links, int flags, unsigned mode = 0666);

/// Likewise for reading, but what the command line names as a stream of this process (/dev/stdin, /dev/fd/N as a
/// shell's `<(…)` gives it) may be a pipe or a terminal.
OpenedFile open_regular_or_stream(const std::string& path);

/// What a mode of stat is of, with its article: "a FIFO".
const char* noun_of(mode_t mode);

/// Throws UserError (io) where something stands there that is no regular file, a link among them. Nothing there is
/// fine.
void require_regular_or_nothing(const std::string& path);

/// Throws UserError (io) where something stands there that is no directory, a link to one among them. Nothing there is
/// fine.
void require_directory_or_nothing(const std::string& path);

/// Whether there is such a regular file, or a link to one. Throws UserError where something else stands there, a link
/// that leads nowhere among them, or where nobody can tell: that it is not there must be known.
bool has_regular(const std::string& path);
/// Likewise of a directory.
bool has_directory(const std::string& path);

/// A name by which a library that opens files by their names opens exactly the file of this descriptor, whatever its
/// own name leads to by then; `path` where the system has no such names (no /proc).
std::string name_of_descriptor(int descriptor, const std::string& path);

/// An opened file as a stream.
class InputFile : public std::istream {
 public:
  explicit InputFile(Descriptor file)
      : std::istream(nullptr), buffer_(file.release(), std::ios::in | std::ios::binary) {
    rdbuf(&buffer_);
    if (!buffer_.is_open()) setstate(failbit);
  }

 private:
  __gnu_cxx::stdio_filebuf<char> buffer_;
};

/// All bytes up to the end, or `most` of them. Throws UserError (io), naming `path`, where they cannot be read, or are
/// more than there is memory for.
std::string read_all(const Descriptor& file, const std::string& path, std::size_t most);

/// The size of an opened file.
std::size_t size_of(const Descriptor& file);

}  // namespace backplane
