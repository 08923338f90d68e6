#include "experiment/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "files/atomic_write.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLockName = "run.lock";

[[noreturn]] void fail(const fs::path& directory, const std::string& why, const std::string& hint) {
  throw UserError(ExitCode::io, fmt::format("{}: {}", directory.string(), why), hint);
}

/// Opens and locks the lock file; the descriptor, or -1 with errno set.
int open_lock(const fs::path& directory, int flags) {
  const fs::path path = directory / kLockName;
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (descriptor < 0) return -1;
  // The directory may have been moved between the two calls: then the lock is on a file that stands elsewhere by now.
  struct stat opened {
  }, named{};
  const bool is_locked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && ::fstat(descriptor, &opened) == 0 &&
                         ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
                         opened.st_dev == named.st_dev;
  if (is_locked) return descriptor;
  ::close(descriptor);
  errno = EWOULDBLOCK;
  return -1;
}

/// Takes the lock of an earlier run, or throws where what stands there is none of ours or still at work.
int lock_earlier(const fs::path& directory) {
  const int descriptor = open_lock(directory, O_RDWR);
  if (descriptor < 0 && errno == EWOULDBLOCK)
    fail(directory, "another run is writing here", "wait for it, or choose another directory with --out");
  if (descriptor < 0)
    fail(directory, "is not empty and holds no run", "choose another directory with --out; nothing of it was touched");
  return descriptor;
}

/// Moves an earlier run away.
std::string move_aside(const fs::path& directory) {
  const int descriptor = lock_earlier(directory);
  fs::path target;
  for (int number = 1; target.empty() || fs::exists(target); ++number)
    target = fmt::format("{}.{}", directory.string(), number);
  std::error_code error;
  fs::rename(directory, target, error);
  ::close(descriptor);
  if (error)
    fail(directory, fmt::format("the earlier run cannot be moved to {}: {}", target.string(), error.message()),
         "choose another directory with --out");
  return target.string();
}

}  // namespace

RunDirectory::RunDirectory(const std::string& directory, Earlier earlier)
    : directory_(fs::path(directory).lexically_normal()) {
  if (!directory_.has_filename()) directory_ = directory_.parent_path();  // "runs/a/" means "runs/a"
  std::error_code error;
  if (fs::exists(directory_, error) && !fs::is_directory(directory_, error))
    fail(directory_, "is a file", "choose another directory with --out");
  if (fs::is_directory(directory_, error) && !fs::is_empty(directory_, error) && !error) {
    if (earlier == Earlier::go_on) {
      lock_ = lock_earlier(directory_);
      return;
    }
    moved_aside_ = move_aside(directory_);
  }
  make_directories_durably(directory_.string());
  lock_ = open_lock(directory_, O_RDWR | O_CREAT);
  if (lock_ < 0 && errno == EWOULDBLOCK)
    fail(directory_, "another run is writing here", "choose another directory with --out");
  if (lock_ < 0)
    fail(directory_, fmt::format("cannot be written: {}", std::strerror(errno)), "choose another directory with --out");
  try {
    // Before any other file of the run: what is found without it after a loss of power would be taken for a stranger's.
    sync_directory(directory_.string());
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunDirectory::~RunDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace backplane
