#include "run/resume.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "base/system_error.h"
#include "config/scalar.h"
#include "files/file_digest.h"
#include "files/json.h"
#include "files/open_file.h"

namespace backplane {

namespace fs = std::filesystem;
using config::Node;
using Json = nlohmann::ordered_json;

namespace {

/// Sections that say what is written, not what is computed; `generate` begins when training has ended.
const std::set<std::string> kFreeSections = {"name", "record", "checkpoint", "metrics", "generate"};

std::string shown(const Node* node) {
  return node == nullptr ? "nothing" : config::shown(*node);
}

bool is_same_scalar(const Node& a, const Node& b) {
  if (a.scalar == b.scalar) return true;
  const auto x = config::to_number(a.scalar), y = config::to_number(b.scalar);
  return x && y && *x == *y;
}

struct KeyDifference {
  std::string path, what;
};

/// Whether a key says where data are, and nothing of what is made of them.
bool is_place_of_data(const std::string& path) {
  static const std::regex places(
      R"(data\.\w+\.(train|test|folder|files(\[\d+\])?)|data\.idx\.(train|test)\.(images|labels))");
  return std::regex_match(path, places);
}

void compare_nodes(const std::string& path, const Node* then, const Node* now, std::vector<KeyDifference>& findings) {
  const auto differ = [&] {
    findings.push_back(
        {path, fmt::format("{}: the checkpoint was made with {}, now it is {}", path, shown(then), shown(now))});
  };
  const auto is_null = [](const Node* node) { return node == nullptr || node->is_null(); };
  if (is_null(then) && is_null(now)) return;
  if (is_null(then) || is_null(now) || then->kind != now->kind) return differ();
  if (then->is_scalar() && !is_same_scalar(*then, *now)) differ();
  if (then->is_list()) {
    if (then->list.size() != now->list.size())
      return findings.push_back({path, fmt::format("{}: the checkpoint was made with {} items, now there are {}", path,
                                                   then->list.size(), now->list.size())});
    for (std::size_t i = 0; i < then->list.size(); ++i)
      compare_nodes(fmt::format("{}[{}]", path, i), &then->list[i], &now->list[i], findings);
  }
  if (!then->is_map()) return;
  const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  const auto is_free = [&](const std::string& key) { return path.empty() && kFreeSections.contains(key); };
  for (const auto& [key, value] : then->map)
    if (!is_free(key)) compare_nodes(below(key), &value, now->find(key), findings);
  for (const auto& [key, value] : now->map)
    if (!is_free(key) && then->find(key) == nullptr) compare_nodes(below(key), nullptr, &value, findings);
}

/// The text at a JSON pointer; "nothing" where there is none.
std::string text_at(const Json& json, const std::string& path) {
  const Json::json_pointer pointer(path);
  if (!json.contains(pointer)) return "nothing";
  const Json& value = json.at(pointer);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// "version 0.1 (sha256 …)" of a plug-in in the list of an environment.
std::string plugin_text(const Json& environment, const std::string& id) {
  if (environment.contains("plugins") && environment["plugins"].is_array())
    for (const Json& plugin : environment["plugins"])
      if (text_at(plugin, "/id") == id)
        return fmt::format("version {} (sha256 {})", text_at(plugin, "/version"), text_at(plugin, "/sha256"));
  return "nothing";
}

std::set<std::string> plugins_used(const Network& network, const Registry& registry) {
  std::set<std::string> ids;
  for (const LayerNode& node : network.nodes()) {
    ids.insert(node.layer.plugin().id);
    if (const auto activation = registry.find_activation(node.activation_name); activation.plugin != nullptr)
      ids.insert(activation.plugin->id);
  }
  return ids;
}

/// Where a configuration says `init_from: FILE`, the same as a map.
void spell_out_initial_weights(Node& config) {
  Node* network = config.find("network");
  Node* section = network == nullptr ? nullptr : network->find("init_from");
  if (section == nullptr || !section->is_scalar()) return;
  Node map = Node::empty_map();
  map.map.emplace_back("file", *section);
  map.map.emplace_back("rename", Node::empty_list());
  map.map.emplace_back("partial", Node::plain("false"));
  *section = std::move(map);
}

/// Where a configuration names its loss, as those of earlier versions do, the same as a choice without options.
void spell_out_loss(Node& config) {
  Node* network = config.find("network");
  Node* loss = network == nullptr ? nullptr : network->find("loss");
  if (loss == nullptr || !loss->is_scalar()) return;
  Node choice = Node::empty_map();
  choice.map.emplace_back(loss->scalar, Node::empty_map());
  *loss = std::move(choice);
}

/// The name of the file in a configuration that is so spelled out; empty where there is none.
std::string initial_weights_of(const Node& config) {
  const Node* node = &config;
  for (const char* key : {"network", "init_from", "file"})
    if (node = node->find(key); node == nullptr) return {};
  return node->scalar;
}

Node config_of(const Snapshot& checkpoint) {
  Node config = config::parse_text(checkpoint.config, "the checkpoint's /config");
  spell_out_initial_weights(config);
  spell_out_loss(config);
  return config;
}

/// The SHA-256 of a file that an environment lists; empty where it does not.
std::string listed_sha256(const Json& environment, const std::string& file) {
  std::string found;
  if (environment.contains("data") && environment["data"].is_array())
    for (const Json& entry : environment["data"])
      if (text_at(entry, "/file") == printable(file)) found = text_at(entry, "/sha256");
  return found;
}

}  // namespace

std::optional<Json> same_initial_weights(const Snapshot& checkpoint, const Experiment& experiment) {
  if (!experiment.initial_weights) return std::nullopt;
  const std::string then = initial_weights_of(config_of(checkpoint)), now = experiment.initial_weights->file;
  const std::string sha256 = listed_sha256(parse_json<Json>(checkpoint.environment), then);
  if (then.empty() || sha256.empty()) return std::nullopt;
  try {
    if (then != now && sha256_of_file(now) != sha256) return std::nullopt;
  } catch (const UserError&) {  // the name differs, and nothing shows that the file does not
    return std::nullopt;
  }
  return Json{{"file", printable(now)}, {"sha256", sha256}};
}

Differences compare(const Snapshot& checkpoint, const Experiment& experiment, const Network& network,
                    const Registry& registry, const Json& environment) {
  Differences differences;
  const Node then_config = config_of(checkpoint);
  Node now_config = config::parse_text(config::to_yaml(experiment.resolved), "the experiment");
  spell_out_initial_weights(now_config);
  spell_out_loss(now_config);
  std::vector<KeyDifference> keys;
  compare_nodes("", &then_config, &now_config, keys);

  const Json then = parse_json<Json>(checkpoint.environment);
  const Json::json_pointer digests("/data_sha256");
  const bool has_same_data =
      then.contains(digests) && environment.contains(digests) && then.at(digests) == environment.at(digests);
  for (const KeyDifference& key : keys) {
    if (key.path == "network.init_from.file" && same_initial_weights(checkpoint, experiment))
      differences.notes.push_back(key.what + "; the weights are the same, so the bits will be");
    else if (has_same_data && is_place_of_data(key.path))
      differences.notes.push_back(key.what + "; the data are the same, so the bits will be");
    else
      differences.config.push_back(key.what);
  }
  const auto look_at = [](std::vector<std::string>& findings, const std::string& what, const std::string& before,
                          const std::string& now) {
    if (before != now)
      findings.push_back(fmt::format("{}: the checkpoint was made with {}, now it is {}", what, before, now));
  };
  using Names = std::vector<std::pair<const char*, const char*>>;
  for (const auto& [what, path] : Names{{"training data (SHA-256)", "/data_sha256/train"},
                                        {"validation data (SHA-256)", "/data_sha256/validation"},
                                        {"test data (SHA-256)", "/data_sha256/test"},
                                        {"program", "/program"},
                                        {"compiler", "/compiler"},
                                        {"instruction set", "/instruction_set"},
                                        {"oneDNN", "/libraries/oneDNN"},
                                        {"BLIS", "/libraries/BLIS"}})
    look_at(differences.environment, what, text_at(then, path), text_at(environment, path));
  for (const std::string& id : plugins_used(network, registry))
    look_at(differences.environment, fmt::format("plug-in '{}'", id), plugin_text(then, id),
            plugin_text(environment, id));
  for (const auto& [what, path] : Names{{"CPU", "/cpu"}, {"oneTBB", "/libraries/oneTBB"}, {"HDF5", "/libraries/HDF5"}})
    look_at(differences.notes, what, text_at(then, path), text_at(environment, path));
  return differences;
}

void require_no_difference(const Differences& differences) {
  std::vector<Diagnostic> findings;
  for (const auto* list : {&differences.config, &differences.environment})
    for (const std::string& what : *list) findings.push_back({.what = what});
  if (findings.empty()) return;
  findings.back().hint =
      "the rest of the run would not have the bits of an uninterrupted one; --resume=loose goes on all the same, a run "
      "without --resume begins anew";
  throw UserError(differences.config.empty() ? ExitCode::bad_data : ExitCode::bad_config, std::move(findings));
}

std::optional<NewestCheckpoint> find_checkpoint(const std::string& run_directory) {
  const fs::path directory = fs::path(run_directory) / "checkpoints";
  if (has_manifest(directory.string())) return read_newest_checkpoint(directory.string());
  std::error_code unknown;
  const fs::directory_iterator entries(directory, unknown);
  if (unknown && unknown != std::errc::no_such_file_or_directory)
    throw system_error(ExitCode::io, directory.string(), "cannot be looked at", unknown.value());
  for (const auto& entry : entries) {
    // The file of step 0 stands there alone where the run was killed before its first commit was complete.
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name.ends_with(".h5") && name != "step-00000000.h5")
      throw UserError(
          ExitCode::no_input,
          fmt::format("{}: checkpoints stand there, but no MANIFEST.json to verify them by", directory.string()),
          "bring the manifest back, or begin anew without --resume");
  }
  return std::nullopt;
}

bool is_done(const std::string& run_directory, const Snapshot& checkpoint) {
  const std::string path = (fs::path(run_directory) / "summary.json").string();
  const OpenedFile file = open_regular(path, Links::refuse);
  if (!file && !file.is_missing)  // it is about to be removed, unless it says that nothing is to be done
    throw UserError(ExitCode::io, fmt::format("{}: {}", path, file.why), remedy_of(file.error));
  const Json summary = file ? parse_json<Json>(read_all(file.file, path, kMostJson)) : Json();
  const std::string status = text_at(summary, "/status");
  return (status == "finished" || status == "stopped_early") &&
         text_at(summary, "/steps") == std::to_string(checkpoint.step) &&
         text_at(summary, "/weights_digest") == checkpoint.weights_digest;
}

}  // namespace backplane
