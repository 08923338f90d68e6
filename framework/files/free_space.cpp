#include "files/free_space.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <filesystem>

#include "base/error.h"

namespace backplane {

namespace {

constexpr std::uint64_t kReserve = 256 << 10;  // for manifest, metrics and summary

void require_below_limit(const std::string& path, std::uint64_t bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  std::error_code missing;
  const std::uintmax_t size = std::filesystem::file_size(path, missing);
  if ((missing ? 0 : size) + bytes + kReserve > limit.rlim_cur)
    throw UserError(ExitCode::io,
                    fmt::format("{}: File too large: it would come near the limit of {} bytes", path, limit.rlim_cur),
                    "`ulimit -f` sets the limit of a file's size");
}

}  // namespace

void require_free_space(const std::string& path, std::uint64_t bytes) {
  require_below_limit(path, bytes);
  const std::string directory = std::filesystem::path(path).parent_path().string();
  struct statvfs disk {};
  if (::statvfs(directory.empty() ? "." : directory.c_str(), &disk) != 0) return;
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free < bytes + kReserve)
    throw UserError(ExitCode::io,
                    fmt::format("{}: needs {} bytes of free space, there are {}", path, bytes + kReserve, free),
                    "make room on that disk");
}

}  // namespace backplane
