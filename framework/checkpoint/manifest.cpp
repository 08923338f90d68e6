#include "checkpoint/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "base/error.h"
#include "base/system_error.h"
#include "base/utf8.h"
#include "files/atomic_write.h"
#include "base/digest.h"
#include "files/json.h"
#include "files/open_file.h"

namespace backplane {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr const char* kName = "MANIFEST.json";
constexpr const char* kCopy = "MANIFEST.copy.json";
/// A value in a manifest, with its share of names and braces, takes at least so many bytes on average: what has more
/// values is none, and is not read to its end. The few are those of one without checkpoints.
constexpr std::size_t kFewestBytes = 12, kFewValues = 16;
/// An editor or a flipped bit makes fewer entries senseless; a file that was made to harm may hold millions.
constexpr std::size_t kMostUnusable = 10;
constexpr std::string_view kPrefix = "step-", kSuffix = ".h5";

/// What makes no sense, as the end of a sentence: "…: it has no 'bytes'".
struct Senseless : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A value as it stands in a message, however much of it there is.
std::string shown(const Json& value) {
  constexpr std::size_t kMost = 60;
  if (value.is_string()) return fmt::format("'{}'", cut_short(value.get_ref<const std::string&>(), kMost));
  return value.is_structured() ? fmt::format("an {}", value.type_name()) : value.dump();
}

/// Any other name would have files read, and later removed, that are none of the run's.
std::string read_file_name(const Json& json) {
  if (!json.is_string() || !step_of_checkpoint_name(json.get_ref<const std::string&>()))
    throw Senseless(shown(json) + " is no name of a checkpoint (step-<8 digits>.h5)");
  return json.get<std::string>();
}

const Json& field_of(const Json& entry, const char* name) {
  if (!entry.contains(name)) throw Senseless(fmt::format("it has no '{}'", name));
  return entry[name];
}

/// Throws Senseless.
CommittedCheckpoint read_entry(const Json& entry) {
  if (!entry.is_object()) throw Senseless(fmt::format("it is {}, expected an object", shown(entry)));
  const auto expect = [&](bool is_fine, const char* name, const char* kind) {
    if (!is_fine) throw Senseless(fmt::format("its '{}' is {}, expected {}", name, shown(entry[name]), kind));
  };
  const std::string file = read_file_name(field_of(entry, "file"));
  const std::int64_t step = *step_of_checkpoint_name(file);
  if (entry.contains("step") && entry["step"] != step)
    throw Senseless(fmt::format("'{}' is no name of a checkpoint of step {}", file, shown(entry["step"])));
  expect(field_of(entry, "bytes").is_number_unsigned(), "bytes", "a whole number");
  expect(field_of(entry, "sha256").is_string(), "sha256", "a text");
  CommittedCheckpoint checkpoint{.file = file,
                                 .step = step,
                                 .bytes = entry["bytes"].get<std::uint64_t>(),
                                 .sha256 = entry["sha256"].get<std::string>(),
                                 .validation_loss = {}};
  if (entry.contains("validation_loss") && !entry["validation_loss"].is_null()) {
    expect(entry["validation_loss"].is_number(), "validation_loss", "a number");
    checkpoint.validation_loss = entry["validation_loss"].get<double>();
  }
  return checkpoint;
}

/// Of the manifest as it is written, without the field that holds it.
std::string digest_of(Json manifest) {
  manifest.erase("sha256");
  const std::string text = manifest.dump(2);
  return sha256_of(text.data(), text.size());
}

std::string text_of(const Manifest& manifest) {
  Json json{{"format", "backplane-manifest"}, {"format_version", 1}, {"checkpoints", Json::array()}};
  for (const CommittedCheckpoint& checkpoint : manifest.checkpoints) {
    Json entry{{"file", checkpoint.file},
               {"step", checkpoint.step},
               {"bytes", checkpoint.bytes},
               {"sha256", checkpoint.sha256}};
    if (checkpoint.validation_loss) entry["validation_loss"] = *checkpoint.validation_loss;
    json["checkpoints"].push_back(std::move(entry));
  }
  if (!manifest.removing.empty()) json["removing"] = manifest.removing;
  json["sha256"] = digest_of(json);
  return json.dump(2) + "\n";
}

Manifest read_one(const fs::path& path) {
  const OpenedFile opened = open_regular(path.string());
  if (opened.is_missing)
    throw UserError(ExitCode::no_input, fmt::format("{}: there is no such manifest", path.string()));
  if (!opened)
    throw UserError(ExitCode::io, fmt::format("{}: {}", path.string(), opened.why),
                    opened.error != 0 ? remedy_of(opened.error) : "put back what belongs there");
  const std::string text = read_all(opened.file, path.string(), kMostJson);
  const Json json = parse_json<Json>(text, text.size() / kFewestBytes + kFewValues);
  const auto refuse = [&](const std::string& why) {
    throw UserError(
        ExitCode::bad_data, fmt::format("{}: {}", path.string(), why),
        "checkpoints are verified by it: take it from a backup of the run, or begin anew elsewhere with --out");
  };
  if (!json.is_object() || !json.contains("checkpoints") || !json["checkpoints"].is_array()) refuse("is damaged");
  if (json.contains("sha256") && json["sha256"] != digest_of(json)) refuse("is damaged: its own SHA-256 differs");
  if (json.contains("format_version") && json["format_version"] != 1)
    refuse(fmt::format("has format version {}, this program reads version 1", json["format_version"].dump()));
  Manifest manifest;
  for (std::size_t i = 0; i < json["checkpoints"].size(); ++i) try {
      manifest.checkpoints.push_back(read_entry(json["checkpoints"][i]));
    } catch (const Senseless& error) {
      if (manifest.unusable.size() == kMostUnusable)
        refuse(fmt::format("is damaged: more than {} of its entries make no sense", kMostUnusable));
      manifest.unusable.push_back(fmt::format("entry {} of {} makes no sense: {}", i + 1, kName, error.what()));
    }
  if (json.contains("removing")) try {
      if (!json["removing"].is_array())
        throw Senseless(fmt::format("it is {}, expected an array", shown(json["removing"])));
      for (const Json& name : json["removing"]) manifest.removing.push_back(read_file_name(name));
    } catch (const Senseless& error) {
      manifest.unusable.push_back(fmt::format("'removing' of {} makes no sense: {}", kName, error.what()));
    }
  return manifest;
}

}  // namespace

std::string checkpoint_name(std::int64_t step) {
  return fmt::format("{}{:08}{}", kPrefix, step, kSuffix);
}

std::optional<std::int64_t> step_of_checkpoint_name(const std::string& name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  const char* last = name.data() + name.size() - kSuffix.size();
  std::int64_t step = -1;
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), last, step);
  if (error != std::errc() || stop != last || step < 0 || checkpoint_name(step) != name) return std::nullopt;
  return step;
}

bool has_manifest(const std::string& directory) {
  const auto is_there = [&](const char* name) {
    const fs::path path = fs::path(directory) / name;
    std::error_code unknown;
    const bool exists = fs::exists(path, unknown);
    if (unknown) throw system_error(ExitCode::io, path.string(), "cannot be looked at", unknown.value());
    return exists;
  };
  return is_there(kName) || is_there(kCopy);
}

Manifest read_manifest(const std::string& directory) {
  if (!has_manifest(directory))
    throw UserError(ExitCode::no_input,
                    fmt::format("{}: there is no such manifest", (fs::path(directory) / kName).string()),
                    "a checkpoint that is in no manifest was never committed");
  // What cannot be opened or read just now may be whole, and one commit newer than its copy.
  const auto is_gone = [](const UserError& error) { return error.code() != ExitCode::io; };
  try {
    return read_one(fs::path(directory) / kName);
  } catch (const UserError& error) {
    if (!is_gone(error)) throw;
    try {
      Manifest copy = read_one(fs::path(directory) / kCopy);
      copy.unusable.insert(copy.unusable.begin(),
                           fmt::format("{}; its copy {} is used", error.diagnostics().front().what, kCopy));
      return copy;
    } catch (const UserError& error_of_copy) {
      if (is_gone(error_of_copy)) throw error;
      throw;
    }
  }
}

std::string newest_in_manifest_copy(const std::string& directory) {
  const fs::path path = fs::path(directory) / kCopy;
  std::error_code unknown;
  if (!fs::is_regular_file(fs::symlink_status(path, unknown))) return {};
  try {
    const std::vector<CommittedCheckpoint> named = read_one(path).checkpoints;
    const auto newest = std::ranges::max_element(named, {}, &CommittedCheckpoint::step);
    return newest == named.end() ? "" : newest->file;
  } catch (const UserError& error) {
    if (error.code() == ExitCode::io) throw;
    return {};
  }
}

void write_manifest(const std::string& directory, const Manifest& manifest) {
  write_file_atomically((fs::path(directory) / kName).string(), text_of(manifest));
}

void write_manifest_copy(const std::string& directory, const Manifest& manifest) {
  write_file_atomically((fs::path(directory) / kCopy).string(), text_of(manifest));
}

}  // namespace backplane
