#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace backplane::cli {

namespace {

int first_failure = 0;  ///< errno of the first write to stdout that failed; 0 where none did

void note_failure(bool has_failed) {
  if (has_failed && first_failure == 0) first_failure = errno;
}

std::FILE* results_stream = stdout;

}  // namespace

void send_results_to_stderr() {
  results_stream = stderr;
}

std::FILE* results() {
  return results_stream;
}

void open_missing_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free descriptor is this one. Without /dev, a directory serves: it cannot be read or written.
    if (::open("/dev/null", O_RDWR) < 0) ::open("/", O_RDONLY | O_DIRECTORY);
  }
}

void write(std::FILE* stream, std::string_view text) {
  const bool has_failed = std::fwrite(text.data(), 1, text.size(), stream) != text.size();
  if (stream == stdout) note_failure(has_failed);
}

bool have_results_arrived() {
  note_failure(std::fflush(stdout) != 0);
  errno = first_failure;
  return first_failure == 0;
}

}  // namespace backplane::cli
