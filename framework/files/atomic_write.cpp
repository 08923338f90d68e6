#include "files/atomic_write.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace backplane {

namespace {

/// A file descriptor that is closed, and a temporary file that is removed, unless all went well.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target)
      : path_(fmt::format("{}.tmp-{}", target, ::getpid())),
        descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
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
  /// A failed fsync is never repeated: Linux may have dropped the pages, and a second call would lie.
  void sync_and_close() {
    if (::fsync(descriptor_) != 0) fail("fsync");
    if (::close(std::exchange(descriptor_, -1)) != 0) fail("close");
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

void sync_directory(const std::string& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced)
    throw UserError(ExitCode::io,
                    fmt::format("{}: fsync of the directory failed: {}", directory, std::strerror(reason)));
}

}  // namespace

void write_file_atomically(const std::string& path, const void* data, std::size_t bytes) {
  TemporaryFile file(path);
  file.write(static_cast<const char*>(data), bytes);
  file.sync_and_close();
  file.rename_to(path);
  const std::string directory = std::filesystem::path(path).parent_path().string();
  sync_directory(directory.empty() ? "." : directory);
}

void replace_file_durably(const std::string& finished, const std::string& path) {
  const auto fail = [&](const char* call) {
    throw UserError(ExitCode::io, fmt::format("{}: {} failed: {}", finished, call, std::strerror(errno)),
                    "check free space and permissions of that directory");
  };
  const int descriptor = ::open(finished.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("open");
  const bool is_synced = ::fsync(descriptor) == 0;
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  if (!is_synced) fail("fsync");
  if (::rename(finished.c_str(), path.c_str()) != 0) fail("rename");
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
  if (fs::is_directory(directory)) return;
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
