#include "files/atomic_write.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/error.h"

namespace backplane {

namespace {

/// -1 with errno where it fails; a signal alone is no failure.
int open_descriptor(const std::string& path, int flags) {
  int descriptor = -1;
  do descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

/// A file descriptor that is closed, and a temporary file that is removed, unless all went well.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target)
      : path_(fmt::format("{}.tmp-{}", target, ::getpid())),
        descriptor_(open_descriptor(path_, O_RDWR | O_CREAT | O_TRUNC)) {
    if (descriptor_ < 0) fail("open");
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void write(const char* data, std::size_t bytes) {
    while (bytes > 0) {
      const ssize_t written = ::write(descriptor_, data, bytes);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write");
      data += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }
  /// A failed fsync is never repeated, not even an interrupted one: Linux may have dropped the pages, and a second
  /// call would lie.
  void sync() {
    if (::fsync(descriptor_) != 0) fail("fsync");
  }
  /// Throws unless the disk gives back what it was given.
  void require_same(const char* data, std::size_t bytes) {
    ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);  // what is on disk already need not stay in memory
    std::vector<char> block(1 << 20);
    for (std::size_t at = 0; at < bytes;) {
      const std::size_t wanted = std::min(block.size(), bytes - at);
      const ssize_t got = ::pread(descriptor_, block.data(), wanted, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("reading back");
      if (got == 0 || std::memcmp(block.data(), data + at, static_cast<std::size_t>(got)) != 0)
        throw UserError(ExitCode::io,
                        fmt::format("{}: what is read back differs from what was written, near byte {}", path_, at),
                        "the disk or the memory of this machine is failing");
      at += static_cast<std::size_t>(got);
    }
  }
  /// An interrupted close has closed on Linux, and the bytes are on the disk already.
  void close() {
    if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail("close");
  }
  void rename_to(const std::string& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) fail("rename");
    path_.clear();
  }

 private:
  [[noreturn]] void fail(const char* call) {
    throw UserError(ExitCode::io, fmt::format("{}: {} failed: {}", path_, call, std::strerror(errno)),
                    "check free space and permissions of that directory");
  }

  std::string path_;
  int descriptor_;
};

}  // namespace

void write_file_atomically(const std::string& path, const void* data, std::size_t bytes, ReadBack read_back) {
  TemporaryFile file(path);
  file.write(static_cast<const char*>(data), bytes);
  file.sync();
  if (read_back == ReadBack::yes) file.require_same(static_cast<const char*>(data), bytes);
  file.close();
  file.rename_to(path);
  const std::string directory = std::filesystem::path(path).parent_path().string();
  sync_directory(directory.empty() ? "." : directory);
}

void sync_directory(const std::string& directory) {
  const int descriptor = open_descriptor(directory, O_RDONLY | O_DIRECTORY);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced)
    throw UserError(ExitCode::io,
                    fmt::format("{}: fsync of the directory failed: {}", directory, std::strerror(reason)));
}

void sync_file(const std::string& path) {
  const int descriptor = open_descriptor(path, O_RDONLY);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced)
    throw UserError(ExitCode::io, fmt::format("{}: fsync failed: {}", path, std::strerror(reason)),
                    "check free space and permissions of that directory");
}

void remove_dead_temporary_files(const std::string& directory, const std::function<bool(const std::string&)>& is_ours) {
  constexpr std::string_view kMark = ".tmp-";
  std::vector<std::filesystem::path> dead;
  std::error_code error_of_reading;
  for (std::filesystem::directory_iterator entry(directory, error_of_reading), end; !error_of_reading && entry != end;
       entry.increment(error_of_reading)) {
    const std::string name = entry->path().filename().string();
    const std::size_t mark = name.rfind(kMark);
    std::error_code ignored;
    if (mark == std::string::npos || !is_ours(name.substr(0, mark)) || !entry->is_regular_file(ignored)) continue;
    const char* last = name.data() + name.size();
    pid_t process = 0;
    const auto [stop, error] = std::from_chars(name.data() + mark + kMark.size(), last, process);
    if (error != std::errc() || stop != last || process <= 0) continue;
    // Ours as well: in a container every process may have the number that the one before it had.
    if (process == ::getpid() || (::kill(process, 0) != 0 && errno == ESRCH)) dead.push_back(entry->path());
  }
  std::error_code ignored;
  for (const std::filesystem::path& path : dead) std::filesystem::remove(path, ignored);
}

void replace_file_durably(const std::string& finished, const std::string& path) {
  sync_file(finished);
  if (::rename(finished.c_str(), path.c_str()) != 0)
    throw UserError(ExitCode::io, fmt::format("{}: rename failed: {}", finished, std::strerror(errno)),
                    "check free space and permissions of that directory");
  const std::string directory = std::filesystem::path(path).parent_path().string();
  sync_directory(directory.empty() ? "." : directory);
}

void require_writable(const std::string& path) {
  if (std::filesystem::is_directory(path))
    throw UserError(ExitCode::io, fmt::format("{}: is a directory, where a file is to be written", path),
                    "name a file in it");
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string directory = parent.empty() ? "." : parent.string();
  if (::access(directory.c_str(), W_OK | X_OK) != 0)
    throw UserError(ExitCode::io, fmt::format("{}: nothing can be written there: {}", path, std::strerror(errno)),
                    "name a file in a directory that exists and is yours to write");
}

void make_directories_durably(const std::string& path) {
  namespace fs = std::filesystem;
  const fs::path directory = fs::absolute(path).lexically_normal();
  if (fs::is_directory(directory)) {
    // It may have been made by a process that died before this. A parent that is not ours to read was not ours to
    // make it in.
    if (::access(directory.parent_path().c_str(), R_OK) == 0) sync_directory(directory.parent_path().string());
    return;
  }
  if (fs::exists(directory))
    throw UserError(ExitCode::io, fmt::format("{}: is a file, not a directory", path),
                    "choose another directory with --out");
  if (directory.has_parent_path() && directory.parent_path() != directory)
    make_directories_durably(directory.parent_path().string());
  std::error_code error;
  fs::create_directory(directory, error);
  if (error)
    throw UserError(ExitCode::io, fmt::format("{}: cannot be made: {}", path, error.message()),
                    "choose another directory with --out");
  sync_directory(directory.parent_path().string());
}

}  // namespace backplane
