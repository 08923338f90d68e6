#include "files/temporary_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/system_error.h"
#include "files/open_file.h"
#include "files/temporaries.h"

namespace backplane {

namespace {

constexpr std::string_view kMark = ".tmp-";
constexpr std::size_t kDigits = 16;

std::uint64_t random_number() {
  std::uint64_t number = 0;
  ssize_t got = 0;
  do got = ::getrandom(&number, sizeof number, 0);
  while (got < 0 && errno == EINTR);
  if (got != sizeof number)
    throw UserError(ExitCode::io, fmt::format("the system gives no random numbers: {}", reason_of(errno)));
  return number;
}

}  // namespace

TemporaryFile::TemporaryFile(const std::string& target) : target_(target) {
  int reason = 0;
  const std::filesystem::path made = make_temporary(/*is_folder=*/false, [&] {
    do {
      path_ = fmt::format("{}{}{:0{}x}", target, kMark, random_number(), kDigits);
      file_ = Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    } while (!file_ && (errno == EINTR || errno == EEXIST));
    reason = errno;
    return file_ ? path_ : std::string();
  });
  if (!made.empty()) return;
  errno = reason;
  const std::size_t length = std::exchange(path_, {}).size();
  if (errno == ENAMETOOLONG)
    throw UserError(
        ExitCode::io, fmt::format("{}: no temporary file can be made beside it: {}", target, reason_of(errno)),
        fmt::format("shorten the name: that of the temporary file has {} bytes more", length - target.size()));
  fail("open");
}

TemporaryFile::~TemporaryFile() {
  file_ = Descriptor();
  if (!path_.empty()) remove_temporary(path_);
}

std::string TemporaryFile::name_for_libraries() const {
  return name_of_descriptor(file_.number(), path_);
}

void TemporaryFile::write(const void* from, std::size_t bytes) {
  for (const char* data = static_cast<const char*>(from); bytes > 0;) {
    const ssize_t written = ::write(file_.number(), data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    data += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void TemporaryFile::sync() {
  if (::fsync(file_.number()) != 0) fail("fsync");
}

void TemporaryFile::require_same(const void* data, std::size_t bytes) {
  ::posix_fadvise(file_.number(), 0, 0, POSIX_FADV_DONTNEED);  // what is on disk already need not stay in memory
  std::vector<char> block(1 << 20);
  for (std::size_t at = 0; at < bytes;) {
    const std::size_t wanted = std::min(block.size(), bytes - at);
    const ssize_t got = ::pread(file_.number(), block.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("reading back");
    if (got == 0 || std::memcmp(block.data(), static_cast<const char*>(data) + at, static_cast<std::size_t>(got)) != 0)
      throw UserError(ExitCode::io,
                      fmt::format("{}: what is read back differs from what was written, near byte {}", target_, at),
                      "the disk or the memory of this machine is failing");
    at += static_cast<std::size_t>(got);
  }
}

/// An interrupted close has closed on Linux, and the bytes are on the disk already.
void TemporaryFile::close() {
  if (::close(file_.release()) != 0 && errno != EINTR) fail("close");
}

void TemporaryFile::rename_to(const std::string& target) {
  if (::rename(path_.c_str(), target.c_str()) != 0) fail("rename");
  keep_temporary(std::exchange(path_, {}));
}

bool TemporaryFile::take_free_name(const std::string& target) {
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) {
    keep_temporary(std::exchange(path_, {}));
    return true;
  }
  if (errno == EEXIST) return false;
  if (errno != EINVAL && errno != ENOSYS) fail("rename");
  // A file system that does not know the flag, as NFS: a second name is never put over another, and the first then
  // goes.
  if (::link(path_.c_str(), target.c_str()) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) fail("link");
  struct stat there {};  // nor second names: looking first is the best that there is
  if (::lstat(target.c_str(), &there) == 0) return false;
  rename_to(target);
  return true;
}

void TemporaryFile::fail(const char* call) const {
  const int reason = errno;
  throw UserError(ExitCode::io, fmt::format("{}: {} failed: {}", target_, call, reason_of(reason)),
                  remedy_of_writing(reason));
}

void remove_dead_temporary_files(const std::string& directory, const std::function<bool(const std::string&)>& is_ours) {
  std::vector<std::filesystem::path> dead;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const std::size_t mark = name.rfind(kMark);
    std::error_code ignored;
    if (mark == std::string::npos || !is_ours(name.substr(0, mark)) || entry->is_symlink(ignored) ||
        !entry->is_regular_file(ignored))
      continue;
    const std::string_view digits = std::string_view(name).substr(mark + kMark.size());
    if (digits.size() == kDigits && digits.find_first_not_of("0123456789abcdef") == std::string_view::npos)
      dead.push_back(entry->path());
  }
  std::error_code ignored;
  for (const std::filesystem::path& path : dead) std::filesystem::remove(path, ignored);
}

}  // namespace backplane
