#include "plugin_host/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/printable.h"
#include "base/system_error.h"
#include "plugin_host/search_path.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

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
  const SearchPath path = search_path();
  for (const std::string& why : path.refused) registry.failed_.push_back({"", why});
  for (const std::string& folder : path.own) registry.scan(folder, Trial::none);
  for (const std::string& file : explicit_files) registry.load_instead(file);
  for (const std::string& folder : path.listed) registry.scan(folder, Trial::in_child);
  return registry;
}

void Registry::load(const std::string& file) {
  add(load_library(file, Trial::in_child));
}

void Registry::load_instead(const std::string& file) {
  if (has_file(file)) return;
  Library library = load_library(file, Trial::in_child);
  const auto same = std::find_if(libraries_.begin(), libraries_.end(),
                                 [&](const Library& other) { return other.identity.id == library.identity.id; });
  if (same != libraries_.end()) {
    failed_.push_back(
        {same->identity.file, fmt::format("plug-in {}: has the id of {}, '{}', and takes its place",
                                          library.identity.file, same->identity.file, library.identity.id)});
    libraries_.erase(same);
  }
  add(std::move(library));
}

void Registry::add(Library library) {
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

bool Registry::has_file(const std::string& file) const {
  std::error_code error;
  const std::string real = fs::weakly_canonical(file, error).string();
  return std::any_of(libraries_.begin(), libraries_.end(), [&](const Library& l) { return l.identity.file == real; });
}

void Registry::scan(const std::string& folder, Trial trial) {
  std::error_code error;
  std::vector<std::string> files;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().string().ends_with(".bp.so")) files.push_back(entry->path().string());
  // A folder that is not there is no mistake: the path may name one for each machine.
  if (error && error != std::errc::no_such_file_or_directory)
    failed_.push_back({"", fmt::format("plug-ins in {} are not looked for: it cannot be read: {}", printable(folder),
                                       reason_of(error.value()))});
  searched_.push_back(folder);
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    if (has_file(file)) continue;
    try {
      if (const std::string why = why_not_trusted(file); !why.empty())
        throw UserError(ExitCode::internal, fmt::format("plug-in {}: is not loaded: {}", file, why));
      add(load_library(file, trial));
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
