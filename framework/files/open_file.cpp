#include "files/open_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <new>

#include "base/system_error.h"

namespace backplane {

namespace {

/// Whether the kernel makes up what a file holds, and reading it may wait: it says that it is regular, and can be asked
/// whether it is ready, which files of disks cannot (those of FUSE can, and do not wait).
bool may_wait(int descriptor) {
  struct statfs system {};
  if (::fstatfs(descriptor, &system) != 0) return false;
  constexpr std::array<decltype(system.f_type), 5> kMadeUp = {PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC,
                                                              TRACEFS_MAGIC, SECURITYFS_MAGIC};
  if (std::ranges::find(kMadeUp, system.f_type) == kMadeUp.end()) return false;
  const Descriptor set(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  return ::epoll_ctl(set.number(), EPOLL_CTL_ADD, descriptor, &event) == 0 || errno != EPERM;
}

/// Whether a path names a descriptor that this process was given, rather than a file.
bool is_stream(const std::string& path) {
  return path == "/dev/stdin" || path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/");
}

/// `is_fine`: of what kind it may be.
template <class IsFine>
OpenedFile open_if(const std::string& path, int flags, unsigned mode, const IsFine& is_fine) {
  OpenedFile opened;
  int descriptor = -1;
  // O_NONBLOCK: the open of a FIFO waits for its other end, that of some devices for their carrier.
  do descriptor = ::open(path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) {
    const int reason = errno;
    opened.is_missing = reason == ENOENT;
    struct stat status {};
    // ENXIO is a FIFO without a reader or a socket, ELOOP a link that is not to be followed.
    const bool is_link = reason == ELOOP && (flags & O_NOFOLLOW) != 0;
    const bool is_named =
        (is_link && ::lstat(path.c_str(), &status) == 0) || (reason == ENXIO && ::stat(path.c_str(), &status) == 0);
    if (is_named && !S_ISREG(status.st_mode)) {
      opened.why = fmt::format("is {}, not a regular file", noun_of(status.st_mode));
    } else {
      opened.error = reason;
      opened.why = opened.is_missing ? "there is no such file" : fmt::format("cannot be opened: {}", reason_of(reason));
    }
    return opened;
  }
  opened.file = Descriptor(descriptor);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    opened.error = errno;
    opened.why = fmt::format("cannot be looked at: {}", reason_of(opened.error));
  } else if (!is_fine(status.st_mode)) {
    opened.why = fmt::format("is {}, not a regular file", noun_of(status.st_mode));
  } else if (S_ISREG(status.st_mode) && may_wait(descriptor)) {
    opened.why = "is made up by the kernel (/proc, /sys), not a regular file";
  } else {
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    return opened;
  }
  opened.file = Descriptor();
  return opened;
}

void require_kind_or_nothing(const std::string& path, mode_t kind, const char* noun) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || (status.st_mode & S_IFMT) == kind) return;
  throw UserError(ExitCode::io, fmt::format("{}: is {}, not {}", path, noun_of(status.st_mode), noun),
                  "move it away: inside a run directory nothing is written through links or into other than regular "
                  "files (the run directory itself may be a link)");
}

bool has_kind(const std::string& path, mode_t kind, const char* noun) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return false;
    throw cannot_read(path, errno);
  }
  if (::stat(path.c_str(), &status) != 0) throw cannot_read(path, errno);
  if ((status.st_mode & S_IFMT) == kind) return true;
  throw UserError(ExitCode::no_input, fmt::format("{}: is {}, not {}", path, noun_of(status.st_mode), noun),
                  "move it away, or put back what belongs there");
}

}  // namespace

const char* noun_of(mode_t mode) {
  if (S_ISREG(mode)) return "a regular file";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a link";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

OpenedFile open_regular(const std::string& path, Links links, int flags, unsigned mode) {
  return open_if(path, flags | (links == Links::refuse ? O_NOFOLLOW : 0), mode,
                 [](mode_t kind) { return S_ISREG(kind); });
}

OpenedFile open_regular(const std::string& path, Links links) {
  return open_regular(path, links, O_RDONLY);
}

OpenedFile open_regular_or_stream(const std::string& path) {
  return open_if(path, O_RDONLY, 0, [&](mode_t kind) { return S_ISREG(kind) || (is_stream(path) && !S_ISDIR(kind)); });
}

void require_regular_or_nothing(const std::string& path) {
  require_kind_or_nothing(path, S_IFREG, "a regular file");
}

void require_directory_or_nothing(const std::string& path) {
  require_kind_or_nothing(path, S_IFDIR, "a directory");
}

bool has_regular(const std::string& path) {
  return has_kind(path, S_IFREG, "a regular file");
}

bool has_directory(const std::string& path) {
  return has_kind(path, S_IFDIR, "a directory");
}

std::string name_of_descriptor(int descriptor, const std::string& path) {
  const std::string name = fmt::format("/proc/self/fd/{}", descriptor);
  struct stat opened {
  }, named{};
  const bool is_same = ::fstat(descriptor, &opened) == 0 && ::stat(name.c_str(), &named) == 0 &&
                       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
  return is_same ? name : path;
}

namespace {

/// A file of nothing but a hole may claim any size: one that the machine cannot hold is refused before the system kills
/// the process, or another one, for it.
void reserve(std::string& bytes, std::size_t count, const std::string& path) {
  const auto refuse = [&] {
    throw UserError(ExitCode::io, fmt::format("{}: needs {} bytes of memory, more than there are", path, count),
                    "`ls -ls` shows whether it is a file of holes; `ulimit -v` and the container's limit bound memory");
  };
  const auto memory =
      static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  if (count > memory) refuse();
  try {
    bytes.reserve(count);
  } catch (const std::bad_alloc&) {
    refuse();
  }
}

}  // namespace

std::string read_all(const Descriptor& file, const std::string& path, std::size_t most) {
  constexpr std::size_t kPiece = 1 << 16;
  std::string bytes;
  struct stat status {};
  if (::fstat(file.number(), &status) == 0 && S_ISREG(status.st_mode))
    reserve(bytes, std::min(most, static_cast<std::size_t>(status.st_size) + 1), path);
  while (bytes.size() < most) {
    const std::size_t before = bytes.size();
    bytes.resize(before + std::min(most - before, std::max(kPiece, bytes.capacity() - before)));
    const ssize_t got = ::read(file.number(), bytes.data() + before, bytes.size() - before);
    const int reason = errno;
    bytes.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && reason == EINTR) continue;
    if (got < 0)
      throw UserError(ExitCode::io, fmt::format("{}: cannot be read: {}", path, reason_of(reason)),
                      "check the disk that it is on");
    if (got == 0) break;
  }
  return bytes;
}

std::size_t size_of(const Descriptor& file) {
  struct stat status {};
  return ::fstat(file.number(), &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

}  // namespace backplane
