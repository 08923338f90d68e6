#include "files/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>

#include "base/standard_streams.h"
#include "base/system_error.h"
#include "files/atomic_write.h"
#include "files/descriptor.h"
#include "files/paths.h"
#include "files/temporary_file.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why, const std::string& remedy) {
  throw UserError(ExitCode::io, fmt::format("{}: {}", path, why), remedy);
}

[[noreturn]] void refuse_existing(const std::string& path) {
  refuse(path, "there is such a file already", "name another file, or replace it with --force");
}

/// Where a path leads: a file that is to be replaced, a new one, or something to write into.
struct Destination {
  fs::path path;
  std::optional<struct stat> earlier;

  bool is_file() const { return !earlier || S_ISREG(earlier->st_mode); }
};

Destination find_place(const std::string& path, Existing existing) {
  std::error_code error;
  [[maybe_unused]] const fs::path full = fs::absolute(path, error);
  if (error)
    refuse(path, "the directory that this command was started in is gone or closed to you",
           "`cd` to another one, or name a full path");
  Destination place{.path = end_of_links(path, error), .earlier = {}};
  if (error) refuse(path, "nothing can be written there: " + reason_of(error.value()), "name another file");
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0)
    place.earlier = status;
  else if (errno != ENOENT)
    refuse(path, fmt::format("nothing can be written there: {}", reason_of(errno)), "name another file");
  if (place.earlier && S_ISDIR(status.st_mode))
    refuse(path, "is a directory, where a file is to be written", "name a file in it");
  if (place.earlier && place.is_file() && existing == Existing::refuse) refuse_existing(path);
  struct stat ignored {};  // the name of the temporary file is longer
  if (place.is_file() && ::lstat((place.path.string() + ".tmp-0123456789abcdef").c_str(), &ignored) != 0 &&
      errno == ENAMETOOLONG)
    refuse(path, "nothing can be written there: " + reason_of(errno), remedy_of(errno));
  if (place.earlier && ::access(path.c_str(), W_OK) != 0)
    refuse(path, fmt::format("is there already and cannot be written: {}", reason_of(errno)), "name another file");
  if (place.is_file() && ::access(directory_of(place.path).c_str(), W_OK | X_OK) != 0)
    refuse(path, fmt::format("nothing can be written there: {}", reason_of(errno)),
           "name a file in a directory that exists and is yours to write");
  return place;
}

void write_into(const Descriptor& file, const std::string& path, std::string_view bytes) {
  if (const int error = write_all(file.number(), bytes); error != 0)
    refuse(path, fmt::format("write failed: {}", reason_of(error)), "what is to read it may have ended, or is full");
}

/// Never waits, as the open of a FIFO without a reader would, perhaps for ever.
Descriptor open_stream(const std::string& path, mode_t kind) {
  if (S_ISSOCK(kind)) refuse(path, "is a socket, where a file is to be written", "name another file");
  Descriptor file(::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!file && errno == ENXIO && S_ISFIFO(kind))
    refuse(path, "is a FIFO that nothing reads from", "start its reader first");
  if (file) ::fcntl(file.number(), F_SETFL, O_WRONLY);
  return file;
}

std::optional<int> number_in(std::string_view digits) {
  int number = -1;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && stop == digits.data() + digits.size() && number >= 0 ? std::optional(number)
                                                                                      : std::nullopt;
}

void put(const Destination& place, const std::string& path, std::string_view bytes, Existing existing) {
  TemporaryFile file(place.path.string());
  if (place.earlier) {
    [[maybe_unused]] const int ignored = ::fchown(file.descriptor(), place.earlier->st_uid, place.earlier->st_gid);
    ::fchmod(file.descriptor(), place.earlier->st_mode & 0777);
  }
  file.write(bytes.data(), bytes.size());
  file.sync();
  file.close();
  if (existing == Existing::replace)
    file.rename_to(place.path.string());
  else if (!file.take_free_name(place.path.string()))
    refuse_existing(path);  // made since it was looked for
  sync_directory(directory_of(place.path));
}

}  // namespace

std::optional<int> stream_of(const std::string& given) {
  std::error_code error;
  const fs::path own = fs::canonical("/proc/self", error);
  fs::path path = fs::absolute(given, error);
  constexpr int kMostLinks = 40;  // as many as the kernel follows
  for (int links = 0; !error && links < kMostLinks; ++links) {
    const fs::path folder = fs::canonical(path.parent_path(), error);
    if (error) return std::nullopt;
    // A thread has the descriptors of its process.
    if (folder == own / "fd" || (folder.filename() == "fd" && folder.parent_path().parent_path() == own / "task"))
      return number_in(path.filename().string());
    path = folder / fs::read_symlink(path, error);
  }
  return std::nullopt;
}

Output::Output(std::string path, Existing existing) : path_(std::move(path)), existing_(existing) {
  if (const std::optional<int> stream = stream_of(path_)) {
    const int flags = ::fcntl(*stream, F_GETFL);
    if (flags < 0) refuse(path_, fmt::format("cannot be opened: {}", reason_of(errno)), "name another file");
    if ((flags & O_ACCMODE) == O_RDONLY) refuse(path_, "is not open for writing", "name another file");
    stream_ = Descriptor(::fcntl(*stream, F_DUPFD_CLOEXEC, 0));
  } else if (const Destination place = find_place(path_, existing_); place.is_file()) {
    const TemporaryFile trial(place.path.string());
    return;
  } else {
    stream_ = open_stream(path_, place.earlier->st_mode);
  }
  if (!stream_) refuse(path_, fmt::format("cannot be opened: {}", reason_of(errno)), "name another file");
}

void Output::write(std::string_view bytes) const {
  if (stream_) {
    return write_into(stream_, path_, bytes);
  }
  const Destination place = find_place(path_, existing_);
  if (!place.is_file()) refuse(path_, "is no file any more", "name another file");
  put(place, path_, bytes, existing_);
}

}  // namespace backplane
