#include "data/folders.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"

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
    places.push_back(folder + "/" + name);
    if (std::filesystem::is_directory(places.back())) return places.back();
  }
  throw UserError(ExitCode::no_input,
                  fmt::format("data set '{}' not found; looked at {}", name, fmt::join(places, ", ")), hint);
}

}  // namespace backplane
