#include "checkpoint/manifest.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "files/atomic_write.h"

namespace backplane {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr const char* kName = "MANIFEST.json";

/// Throws Json::exception where a field is missing or of another type, std::runtime_error where its value is absurd.
CommittedCheckpoint read_entry(const Json& entry) {
  CommittedCheckpoint checkpoint{.file = entry.at("file").get_ref<const std::string&>(),
                                 .step = entry.value("step", std::int64_t{-1}),
                                 .bytes = entry.at("bytes").get_ref<const std::uint64_t&>(),
                                 .sha256 = entry.at("sha256").get_ref<const std::string&>(),
                                 .validation_loss = {}};
  // A name that leads elsewhere would have files read, and later removed, that are none of the run's.
  if (checkpoint.file.empty() || fs::path(checkpoint.file).filename() != checkpoint.file || checkpoint.file == "." ||
      checkpoint.file == "..")
    throw std::runtime_error(fmt::format("'{}' is no name of a file beside it", checkpoint.file));
  if (entry.contains("validation_loss")) checkpoint.validation_loss = entry["validation_loss"].get<double>();
  return checkpoint;
}

}  // namespace

Manifest read_manifest(const std::string& directory) {
  const fs::path path = fs::path(directory) / kName;
  std::ifstream file(path);
  if (!file)
    throw UserError(ExitCode::no_input, fmt::format("{}: there is no such manifest", path.string()),
                    "a checkpoint that is in no manifest was never committed");
  const Json json = Json::parse(file, nullptr, false);
  const auto refuse = [&](const std::string& why) {
    throw UserError(ExitCode::bad_data, fmt::format("{}: {}", path.string(), why), "use another checkpoint of the run");
  };
  if (!json.is_object() || !json.contains("checkpoints") || !json["checkpoints"].is_array()) refuse("is damaged");
  if (json.contains("format_version") && json["format_version"] != 1)
    refuse(fmt::format("has format version {}, this program reads version 1", json["format_version"].dump()));
  Manifest manifest;
  for (std::size_t i = 0; i < json["checkpoints"].size(); ++i) try {
      manifest.checkpoints.push_back(read_entry(json["checkpoints"][i]));
    } catch (const std::exception& error) {
      manifest.unusable.push_back(fmt::format("entry {} of {} makes no sense: {}", i + 1, kName, error.what()));
    }
  return manifest;
}

void write_manifest(const std::string& directory, const std::vector<CommittedCheckpoint>& checkpoints) {
  Json json{{"format", "backplane-manifest"}, {"format_version", 1}, {"checkpoints", Json::array()}};
  for (const CommittedCheckpoint& checkpoint : checkpoints) {
    Json entry{{"file", checkpoint.file},
               {"step", checkpoint.step},
               {"bytes", checkpoint.bytes},
               {"sha256", checkpoint.sha256}};
    if (checkpoint.validation_loss) entry["validation_loss"] = *checkpoint.validation_loss;
    json["checkpoints"].push_back(std::move(entry));
  }
  write_file_atomically((fs::path(directory) / kName).string(), json.dump(2) + "\n");
}

}  // namespace backplane
