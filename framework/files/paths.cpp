#include "files/paths.h"

namespace backplane {

namespace fs = std::filesystem;

std::string directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path().string() : ".";
}

fs::path end_of_links(fs::path path, std::error_code& error) {
  constexpr int kMostLinks = 40;  // as many as the kernel follows
  std::error_code unknown;        // then it is no link, and who opens it says what it is
  for (int links = 0; fs::is_symlink(fs::symlink_status(path, unknown)); ++links) {
    error = links == kMostLinks ? std::make_error_code(std::errc::too_many_symbolic_link_levels) : std::error_code();
    const fs::path target = error ? fs::path() : fs::read_symlink(path, error);
    if (error) return {};
    path = path.parent_path() / target;
  }
  error.clear();
  return path;
}

}  // namespace backplane
