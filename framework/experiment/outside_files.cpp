#include "experiment/outside_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "base/printable.h"
#include "data/folders.h"
#include "files/paths.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostNamed = 8;

}  // namespace

std::optional<std::string> note_of_outside_files(const Experiment& experiment, const DataSet& data) {
  const std::string& yaml = experiment.resolved.place.source;
  std::error_code ignored;
  if (!fs::exists(yaml, ignored)) return std::nullopt;  // the configuration of a checkpoint
  std::vector<fs::path> folders{resolved_path(yaml).parent_path()};
  for (const std::string& folder : data_folders()) folders.push_back(resolved_path(folder));
  std::vector<std::string> outside;
  for (const std::string& file : data.files)
    if (std::ranges::none_of(folders, [&](const fs::path& folder) { return is_inside(file, folder); }))
      outside.push_back(printable(resolved_path(file).string()));
  if (outside.empty()) return std::nullopt;
  const std::size_t count = outside.size();
  outside.resize(std::min(count, kMostNamed));
  return fmt::format("reads from outside the folder of {}: {}{}", printable(yaml), fmt::join(outside, ", "),
                     count > kMostNamed ? fmt::format(" and {} more", count - kMostNamed) : "");
}

}  // namespace backplane
