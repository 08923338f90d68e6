#include "data/folders.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/system_error.h"

namespace backplane {

std::vector<std::string> data_folders() {
  std::vector<std::string> folders;
  if (const char* own = std::getenv("BACKPLANE_DATA"); own != nullptr && *own != '\0') folders.emplace_back(own);
  folders.emplace_back("/usr/share/datasets");
  return folders;
}

std::string find_data_folder(const std::string& name, const std::vector<std::string>& folders,
                             const std::string& hint) {
  std::vector<std::string> places;
  for (const std::string& folder : folders) {
    std::string place = folder + "/" + name;
    std::error_code error;
    const auto status = std::filesystem::status(place, error);
    if (std::filesystem::is_directory(status)) return place;
    if (std::filesystem::exists(status)) place += " (no folder)";
    if (error && error.value() != ENOENT) place += fmt::format(" ({})", reason_of(error.value()));
    places.push_back(std::move(place));
  }
  throw UserError(ExitCode::no_input,
                  fmt::format("data set '{}' not found; looked at {}", name, fmt::join(places, ", ")), hint);
}

bool is_there(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 || errno != ENOENT;
}

}  // namespace backplane
