#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "base/printable.h"
#include "base/suggest.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "plugin_host/attributes.h"

namespace backplane::cli {

namespace {

struct PluginWords {
  std::string name;
  std::vector<std::string> plugins;
};

std::vector<std::string> type_names(const Library& library) {
  std::vector<std::string> names;
  for (const bp_layer_type& type : library.layers) names.push_back(type.name);
  for (const bp_activation_type& type : library.activations) names.push_back(type.name);
  return names;
}

ExitCode list(const PluginWords& words) {
  const Registry registry = Registry::discover(words.plugins);
  for (const Library& library : registry.libraries()) {
    const PluginIdentity& plugin = library.identity;
    show("{} {}   {}\n", plugin.id, plugin.version, plugin.summary);
    for (const bp_layer_type& type : library.layers) show("  layer       {:<12} {}\n", type.name, type.summary);
    for (const bp_activation_type& type : library.activations)
      show("  activation  {:<12} {}\n", type.name, type.summary);
    show("  file        {}\n\n", plugin.file);
  }
  for (const FailedPlugin& failed : registry.failed()) show("not loaded: {}\n", printable(failed.why));
  show("searched: {}\n", fmt::join(registry.searched(), ", "));
  if (registry.libraries().empty())
    throw UserError(ExitCode::no_input, "no plug-in was found",
                    "name one with --plugin, or set BACKPLANE_PLUGIN_PATH to a directory of *.bp.so files");
  return ExitCode::ok;
}

std::string range_text(const bp_attribute& attribute) {
  std::string text;
  if (std::isfinite(attribute.min)) text += fmt::format(" ≥ {}", attribute.min);
  if (std::isfinite(attribute.max)) text += fmt::format(" ≤ {}", attribute.max);
  for (const char* const* choice = attribute.choices; choice != nullptr && *choice != nullptr; ++choice)
    text += fmt::format("{}{}", text.empty() ? " " : " | ", *choice);
  return text;
}

void print_attributes(const bp_attribute* const* attributes, std::uint32_t count) {
  constexpr const char* kKinds[] = {"?", "bool", "int", "float", "text", "int list"};
  for (std::uint32_t i = 0; i < count; ++i)
    show("    {:<12} {:<9} {:<10} {}{}\n", attributes[i]->name, kKinds[attributes[i]->kind],
         attributes[i]->required != 0 ? "required" : default_yaml(*attributes[i]),
         attributes[i]->summary == nullptr ? "" : attributes[i]->summary, range_text(*attributes[i]));
}

std::string dtypes(bool f32, bool f64) {
  return f32 && f64 ? "float32, float64" : f32 ? "float32" : "float64";
}

void print_library(const Library& library) {
  const PluginIdentity& plugin = library.identity;
  show("plug-in     {} {}   {}\n", plugin.id, plugin.version, plugin.summary);
  show("file        {}\nsha256      {}\n", plugin.file, plugin.sha256);
  show("ABI         built with {0}.{1}, needs {0}.{2}, this program speaks {0}.{3}\n", BP_ABI_MAJOR,
       plugin.abi_minor_built, plugin.abi_minor_needed, BP_ABI_MINOR);
  show("licence     {}\n", plugin.licence);
  for (const bp_layer_type& type : library.layers) {
    show("\nlayer       {}   {}   ({})\n", type.name, type.summary, dtypes(type.f32 != nullptr, type.f64 != nullptr));
    if (type.attribute_count > 0) show("  attributes\n");
    print_attributes(type.attributes, type.attribute_count);
    if (type.parameter_count > 0) show("  parameters\n");
    for (std::uint32_t i = 0; i < type.parameter_count; ++i)
      show("    {:<12} {:<9} {:<15} {}\n", type.parameters[i]->name, type.parameters[i]->role, type.parameters[i]->init,
           type.parameters[i]->summary == nullptr ? "" : type.parameters[i]->summary);
  }
  for (const bp_activation_type& type : library.activations) {
    show("\nactivation  {}   {}   ({})\n", type.name, type.summary, dtypes(type.f32 != nullptr, type.f64 != nullptr));
    print_attributes(type.attributes, type.attribute_count);
  }
}

/// A file, a plug-in's id, or the name of a layer type or activation.
ExitCode inspect(const PluginWords& words) {
  if (words.name.find('/') != std::string::npos || words.name.ends_with(".so")) {
    print_library(load_library(words.name));
    return ExitCode::ok;
  }
  const Registry registry = discover_plugins(words.plugins);
  std::vector<std::string> known;
  for (const Library& library : registry.libraries()) {
    known.push_back(library.identity.id);
    for (const std::string& name : type_names(library)) known.push_back(name);
    if (std::find(known.begin(), known.end(), words.name) != known.end()) {
      print_library(library);
      return ExitCode::ok;
    }
  }
  throw UserError(ExitCode::no_input,
                  Diagnostic{.what = fmt::format("no plug-in, layer type or activation is called '{}'", words.name),
                             .nearest = nearest_name(words.name, known),
                             .known = known,
                             .hint = "a file is named by a path with '/'"});
}

}  // namespace

Registry discover_plugins(const std::vector<std::string>& explicit_files) {
  Registry registry = Registry::discover(explicit_files);
  for (const FailedPlugin& failed : registry.failed()) say("warning: {}\n", printable(failed.why));
  return registry;
}

void add_plugin(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("plugin", "what plug-ins there are and what they offer");
  command->require_subcommand(1);
  auto words = std::make_shared<PluginWords>();
  const auto add = [&](const char* name, const char* summary, ExitCode (*function)(const PluginWords&)) {
    CLI::App* sub = command->add_subcommand(name, summary);
    sub->add_option("--plugin", words->plugins, "load a plug-in file before searching; may be repeated")
        ->take_all()
        ->expected(1)
        ->check(check_path);
    sub->callback([&action, words, function] { action = [words, function] { return function(*words); }; });
    return sub;
  };
  add("list", "every plug-in found, and where was looked", list);
  add("inspect", "attributes and parameters of a plug-in, layer type or activation", inspect)
      ->add_option("X", words->name, "file, plug-in id, layer type or activation")
      ->required()
      ->check(check_path);
}

}  // namespace backplane::cli
