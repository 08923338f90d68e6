#include "files/free_space.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <filesystem>

#include "base/error.h"

namespace backplane {

void require_free_space(const std::string& path, std::uint64_t bytes) {
  constexpr std::uint64_t kReserve = 256 << 10;  // for manifest, metrics and summary
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
