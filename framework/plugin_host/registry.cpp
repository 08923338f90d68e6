#include "plugin_host/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/error.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> search_directories() {
  std::vector<std::string> directories;
  if (const char* listed = std::getenv("BACKPLANE_PLUGIN_PATH")) {
    std::istringstream stream(listed);
    for (std::string directory; std::getline(stream, directory, ':');)
      if (!directory.empty()) directories.push_back(directory);
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  directories.push_back((program / "plugins").string());
  directories.push_back((program / BACKPLANE_PLUGINS_FROM_PROGRAM).lexically_normal().string());
  return directories;
}

template <class Type>
Registered<Type> find(const std::deque<Library>& libraries, std::vector<Type> Library::*types,
                      const std::string& name) {
  for (const Library& library : libraries)
    for (const Type& type : library.*types)
      if (name == type.name) return {&type, &library.identity};
  return {};
}

}  // namespace

Registry Registry::discover(const std::vector<std::string>& explicit_files) {
  Registry registry;
  for (const std::string& file : explicit_files) registry.load(file);
  for (const std::string& directory : search_directories()) registry.scan(directory);
  return registry;
}

void Registry::load(const std::string& file) {
  Library library = load_library(file);
  const auto reject_taken = [&](const char* noun, const std::string& name, const PluginIdentity* owner) {
    if (owner == nullptr) return;
    throw UserError(ExitCode::internal,
                    fmt::format("plug-in {}: {} '{}' is already defined by plug-in {} {} ({})", library.identity.file,
                                noun, name, owner->id, owner->version, owner->file),
                    "names must be unique: rename the type, or leave one of the two plug-ins out");
  };
  for (const Library& other : libraries_)
    if (other.identity.id == library.identity.id) reject_taken("id", other.identity.id, &other.identity);
  for (const bp_layer_type& type : library.layers) reject_taken("layer type", type.name, find_layer(type.name).plugin);
  for (const bp_activation_type& type : library.activations)
    reject_taken("activation", type.name, find_activation(type.name).plugin);
  libraries_.push_back(std::move(library));
}

void Registry::scan(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error))
    if (entry.path().string().ends_with(".bp.so")) files.push_back(entry.path().string());
  searched_.push_back(directory);
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    const std::string real = fs::weakly_canonical(file, error).string();
    if (std::any_of(libraries_.begin(), libraries_.end(), [&](const Library& l) { return l.identity.file == real; }))
      continue;
    try {
      load(file);
    } catch (const UserError& failure) {
      failed_.push_back({file, failure.diagnostics().front().what});
    }
  }
}

Registered<bp_layer_type> Registry::find_layer(const std::string& name) const {
  return find(libraries_, &Library::layers, name);
}

Registered<bp_activation_type> Registry::find_activation(const std::string& name) const {
  return find(libraries_, &Library::activations, name);
}

}  // namespace backplane
