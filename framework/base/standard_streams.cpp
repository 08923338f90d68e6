#include "base/standard_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include "base/mutex.h"

namespace backplane {

namespace {

using Clock = std::chrono::steady_clock;

/// A pipe that is ready takes as much at once.
constexpr std::size_t kPiece = 4096;
constexpr std::size_t kMostKept = 64 << 10;

std::atomic<Clock::time_point> end_of_patience = Clock::time_point::max();

Mutex mutex;
std::string kept BP_GUARDED_BY(mutex);

/// True also of one that fails: the write says how.
bool is_ready(int descriptor, int milliseconds) {
  pollfd stream{descriptor, POLLOUT, 0};
  return ::poll(&stream, 1, milliseconds) == 1;
}

/// Until the reader of a stream may have read some. A terminal may say that it is ready and take nothing: then a
/// little.
void pause_for(int descriptor) {
  constexpr int kLongest = 100;
  is_ready(descriptor, kLongest);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// A stream for writes that never wait. A terminal that is ready may still make a long line wait, so it is opened anew,
/// as is a pipe: O_NONBLOCK on the stream itself would be set for everybody who has it. Where it cannot be opened,
/// asking whether it is ready is the best that there is, and this is the stream itself.
int open_without_waiting(int stream) {
  struct stat status {};
  if (::fstat(stream, &status) != 0 || !(S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode))) return stream;
  const std::string name = "/proc/self/fd/" + std::to_string(stream);
  const int opened = ::open(name.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  return opened < 0 ? stream : opened;
}

/// Takes from the front of `bytes` what can be written without waiting. Returns 0, EAGAIN where some is left, or the
/// errno of a write that failed.
int write_what_goes(int opened, std::string_view& bytes) {
  while (!bytes.empty()) {
    if (!is_ready(opened, 0)) return EAGAIN;
    const ssize_t written = ::write(opened, bytes.data(), std::min(bytes.size(), kPiece));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

bool is_patient() {
  return Clock::now() < end_of_patience.load();
}

/// Whether nothing is left.
bool write_kept() BP_REQUIRES(mutex) {
  static const int messages = open_without_waiting(STDERR_FILENO);  // as long as the process
  std::string_view left = kept;
  const bool waits = write_what_goes(messages, left) == EAGAIN;
  kept.erase(0, waits ? kept.size() - left.size() : kept.size());
  return !waits;
}

}  // namespace

int write_all(int stream, std::string_view bytes) {
  const int opened = open_without_waiting(stream);
  int error = EAGAIN;
  while ((error = write_what_goes(opened, bytes)) == EAGAIN && is_patient()) pause_for(opened);
  if (opened != stream) ::close(opened);
  return error;
}

void write_message(std::string_view text) {
  const MutexLock lock(mutex);
  kept += text;
  while (!write_kept() && is_patient()) pause_for(STDERR_FILENO);
}

bool write_message_without_waiting(std::string_view text) {
  const MutexLock lock(mutex);
  if (kept.size() + text.size() <= kMostKept) kept += text;
  return write_kept();
}

void bound_waiting_for_readers(std::chrono::milliseconds patience) {
  end_of_patience = Clock::now() + patience;
}

void unbound_waiting_for_readers() {
  end_of_patience = Clock::time_point::max();
}

}  // namespace backplane
