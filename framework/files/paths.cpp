#include "files/paths.h"

#include <fmt/format.h>

#include <algorithm>

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

fs::path resolved_path(const fs::path& path) {
  std::error_code ignored;
  return fs::weakly_canonical(fs::absolute(end_of_links(path, ignored), ignored), ignored);
}

fs::path without_dots(const fs::path& path) {
  fs::path clean;
  for (const fs::path& name : path) {
    if (name.empty() || name == ".") continue;  // empty: behind a last slash
    std::error_code error;
    if (name != ".." || clean.empty() || clean.filename() == "..") {
      clean /= name;
    } else if (fs::is_symlink(clean, error)) {
      const fs::path behind = fs::canonical(clean, error);
      clean = error ? clean / name : behind.parent_path();
    } else {
      clean = clean.has_relative_path() ? clean.parent_path() : clean;
    }
  }
  return clean.empty() ? "." : clean;
}

bool is_inside(const fs::path& path, const fs::path& directory) {
  const fs::path inner = resolved_path(path), outer = resolved_path(directory);
  if (inner.empty() || outer.empty()) return false;
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

std::string free_name(const std::string& stem) {
  std::error_code unknown;  // then whoever takes the name is told
  std::string name = stem;
  for (int number = 1; fs::exists(fs::symlink_status(name, unknown)); ++number)
    name = fmt::format("{}.{}", stem, number);
  return name;
}

}  // namespace backplane
