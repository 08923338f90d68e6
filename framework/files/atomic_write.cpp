#include "files/atomic_write.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/system_error.h"
#include "files/open_file.h"
#include "files/paths.h"

namespace backplane {

namespace {

/// -1 with errno where it fails; a signal alone is no failure.
int open_descriptor(const std::string& path, int flags) {
  int descriptor = -1;
  do descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
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
    throw UserError(ExitCode::io, fmt::format("{}: fsync of the directory failed: {}", directory, reason_of(reason)),
                    remedy_of_writing(reason));
}

void replace_file_durably(TemporaryFile& finished, const std::string& path) {
  require_regular_or_nothing(path);
  finished.sync();
  finished.rename_to(path);
  sync_directory(directory_of(path));
}

void make_directories_durably(const std::string& path) {
  namespace fs = std::filesystem;
  const auto fail = [&](int reason) {
    throw UserError(ExitCode::io, fmt::format("{}: the directory cannot be made: {}", path, reason_of(reason)),
                    "choose another directory with --out");
  };
  std::error_code error;
  const fs::path directory = without_dots(fs::absolute(path, error));
  if (error)
    throw UserError(ExitCode::io, "the directory that this command was started in is gone or closed to you",
                    "`cd` to another one, or name a full path with --out");
  std::vector<fs::path> missing;
  fs::path standing = directory;
  fs::file_status status = fs::status(standing, error);
  while (status.type() == fs::file_type::not_found && standing.has_relative_path()) {
    if (fs::is_symlink(fs::symlink_status(standing, error)))
      throw UserError(
          ExitCode::io,
          fmt::format("{}: the directory cannot be made: {} is a link that leads nowhere", path, standing.string()),
          "make what it leads to, or choose another directory with --out");
    missing.push_back(standing);
    standing = standing.parent_path();
    status = fs::status(standing, error);
  }
  if (!fs::status_known(status)) fail(error.value());
  if (!fs::is_directory(status)) fail(ENOTDIR);
  // It may have been made by a process that died before this. A parent that is not ours to read was not ours to make it
  // in. Not parent_path(): `standing` may be a link, or the name of a descriptor.
  const fs::path parent = standing / "..";
  if (::access(parent.c_str(), R_OK) == 0) sync_directory(parent.string());
  for (auto next = missing.rbegin(); next != missing.rend(); ++next) {
    if (!fs::create_directory(*next, error) && error) fail(error.value());
    sync_directory(next->parent_path().string());
  }
}

}  // namespace backplane
