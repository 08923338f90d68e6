#include "files/atomic_write.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "files/open_file.h"

namespace backplane {

namespace {

/// -1 with errno where it fails; a signal alone is no failure.
int open_descriptor(const std::string& path, int flags) {
  int descriptor = -1;
  do descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

}  // namespace

void write_file_atomically(const std::string& path, const void* data, std::size_t bytes, ReadBack read_back) {
  require_regular_or_nothing(path);
  TemporaryFile file(path);
  file.write(data, bytes);
  file.sync();
  if (read_back == ReadBack::yes) file.require_same(data, bytes);
  file.close();
  file.rename_to(path);
  sync_directory(directory_of(path));
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

void replace_file_durably(TemporaryFile& finished, const std::string& path) {
  require_regular_or_nothing(path);
  finished.sync();
  finished.rename_to(path);
  sync_directory(directory_of(path));
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
