#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/standard_streams.h"

namespace backplane::cli {

namespace {

/// Results on their way to stdout. A terminal gets them at once.
constexpr std::size_t kPiece = 64 << 10;
std::string waiting;
int first_failure = 0;  ///< errno of the first write to stdout that failed; 0 where none did

void flush() {
  if (const int error = write_all(STDOUT_FILENO, waiting); first_failure == 0) first_failure = error;
  waiting.clear();
}

bool are_results_messages = false;

}  // namespace

void send_results_to_stderr() {
  are_results_messages = true;
}

void open_missing_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free descriptor is this one. Without /dev, a directory serves: it cannot be read or written.
    if (::open("/dev/null", O_RDWR) < 0) ::open("/", O_RDONLY | O_DIRECTORY);
  }
}

void print(std::string_view text) {
  if (are_results_messages) return write_message(text);
  waiting += text;
  if (waiting.size() >= kPiece || ::isatty(STDOUT_FILENO) != 0) flush();
}

int failure_of_results() {
  flush();
  return first_failure;
}

}  // namespace backplane::cli
