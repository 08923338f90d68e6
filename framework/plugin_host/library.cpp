#include "plugin_host/library.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/printable.h"
#include "base/system_error.h"
#include "files/file_digest.h"
#include "plugin_host/attributes.h"
#include "plugin_host/elf_file.h"
#include "plugin_host/host.h"
#include "plugin_host/trial.h"

namespace backplane {

namespace {

[[noreturn]] void reject(const std::string& path, const std::string& why, const std::string& hint) {
  throw UserError(ExitCode::internal, fmt::format("plug-in {}: {}", path, why), hint);
}

/// Copies a plug-in's table into zeroed host memory: fields that an older plug-in lacks read as 0, those that a newer
/// one has more are dropped, and the plug-in cannot change it later.
template <class Table>
Table copy_table(const Table* from) {
  Table to{};
  if (from != nullptr) std::memcpy(&to, from, std::min<std::size_t>(from->struct_size, sizeof(Table)));
  return to;
}

/// What the system's loader said, without Boost's frame around it.
std::string loader_text(const std::string& what) {
  constexpr std::string_view kBegin = "dlerror system message: ";
  const std::size_t begin = what.find(kBegin), end = what.rfind("): ");
  if (begin == std::string::npos || end == std::string::npos || end < begin) return what;
  return what.substr(begin + kBegin.size(), end - begin - kBegin.size());
}

/// Copies what a pointer of a table points to, and turns the pointer to the copy; NULL stays NULL.
template <class Table>
void adopt(const Table*& table, std::deque<Table>& copies) {
  if (table != nullptr) table = &copies.emplace_back(copy_table(table));
}

template <class Table>
void adopt_list(const Table* const*& list, std::uint32_t count, std::deque<Table>& copies,
                std::deque<std::vector<const Table*>>& lists) {
  if (list == nullptr) return;
  std::vector<const Table*>& pointers = lists.emplace_back(list, list + count);
  for (const Table*& table : pointers) adopt(table, copies);
  list = pointers.data();
}

/// Optional text reads as empty, and is safe to print and to store: control characters and what is no UTF-8 become
/// \xNN.
void fill_in(const char*& text, AdoptedTables& tables) {
  if (text == nullptr) text = "";
  if (std::string shown = printable(text); shown != text) text = tables.texts.emplace_back(std::move(shown)).c_str();
}

void adopt_attributes(const bp_attribute* const*& list, std::uint32_t count, AdoptedTables& tables) {
  adopt_list(list, count, tables.attributes, tables.attribute_lists);
  for (bp_attribute& attribute : tables.attributes) fill_in(attribute.summary, tables);
}

bp_layer_type adopt_layer(const bp_layer_type* from, AdoptedTables& tables) {
  bp_layer_type type = copy_table(from);
  fill_in(type.summary, tables);
  adopt_attributes(type.attributes, type.attribute_count, tables);
  adopt_list(type.parameters, type.parameter_count, tables.parameters, tables.parameter_lists);
  for (bp_parameter& parameter : tables.parameters) fill_in(parameter.summary, tables);
  adopt(type.f32, tables.kernels);
  adopt(type.f64, tables.kernels);
  return type;
}

bp_activation_type adopt_activation(const bp_activation_type* from, AdoptedTables& tables) {
  bp_activation_type type = copy_table(from);
  fill_in(type.summary, tables);
  adopt_attributes(type.attributes, type.attribute_count, tables);
  adopt(type.f32, tables.activation_kernels);
  adopt(type.f64, tables.activation_kernels);
  return type;
}

std::string hint_for_major(std::uint32_t major) {
  return major > BP_ABI_MAJOR ? "update Backplane, or rebuild the plug-in with this Backplane's SDK"
                              : "rebuild the plug-in with this Backplane's SDK";
}

/// Opens the library for the life of the process and returns its entry.
bp_plugin_function find_entry(const std::string& path, const GuardedOwner& owner) {
  using boost::dll::load_mode::rtld_local;
  using boost::dll::load_mode::rtld_now;
  // Never unloaded: code of a plug-in may be reached from anywhere (research on dlclose: threads, thread_local
  // destructors and static data all keep pointers into it). Left to the operating system at exit.
  static auto& opened = *new std::vector<boost::dll::shared_library>;
  boost::dll::shared_library library;
  std::string reason;
  {
    const PluginGuard guard(owner, "its loading");
    const FloatingPointMode before;  // a library linked with fast-math switches denormals off for everybody
    try {
      library.load(path, rtld_now | rtld_local);
    } catch (const std::exception& failure) {
      reason = loader_text(failure.what());
    }
    before.put_back();
  }
  if (!reason.empty())
    reject(path, "the system's loader refused it: " + reason,
           "a plug-in gets everything from bp_host and needs no symbol of the program; check what it was linked to");
  opened.push_back(library);
  if (library.has(BP_PLUGIN_SYMBOL)) return library.get<const bp_plugin*(void)>(BP_PLUGIN_SYMBOL);
  for (std::uint32_t major = 0; major < 10; ++major)
    if (library.has(fmt::format("bp_plugin_v{}", major)))
      reject(path,
             fmt::format("was built for plug-in ABI {}.x; this program speaks ABI {}.{}", major, BP_ABI_MAJOR,
                         BP_ABI_MINOR),
             hint_for_major(major));
  reject(path, "is a shared library, but no Backplane plug-in (it exports no " BP_PLUGIN_SYMBOL ")",
         "a plug-in ends with one BP_PLUGIN(...) line; see backplane/plugin.hpp");
}

void check_versions(const std::string& path, const bp_plugin& plugin) {
  const std::string this_abi = fmt::format("{}.{}", BP_ABI_MAJOR, BP_ABI_MINOR);
  if (plugin.abi_major != BP_ABI_MAJOR)
    reject(
        path,
        fmt::format("says ABI {}.{}; this program speaks ABI {}", plugin.abi_major, plugin.abi_minor_built, this_abi),
        hint_for_major(plugin.abi_major));
  if (plugin.abi_minor_needed > BP_ABI_MINOR)
    reject(path,
           fmt::format("needs plug-in ABI {}.{} or later; this program speaks ABI {}", plugin.abi_major,
                       plugin.abi_minor_needed, this_abi),
           "update Backplane, or rebuild the plug-in with this Backplane's SDK");
  if (BP_ABI_MAJOR == 0 && plugin.abi_minor_built != BP_ABI_MINOR)
    reject(path,
           fmt::format("was built with another draft of the ABI, {}.{}; this program speaks ABI {}", plugin.abi_major,
                       plugin.abi_minor_built, this_abi),
           "drafts (0.x) are not compatible with each other: rebuild the plug-in with this Backplane's SDK");
}

/// Whether a default lies within the bounds, or is one of the choices, that go with it.
bool default_fits(const bp_attribute& attribute) {
  const bp_attribute_value& value = attribute.initial;
  const auto in_range = [&](auto number) {
    return static_cast<double>(number) >= attribute.min && static_cast<double>(number) <= attribute.max;
  };
  switch (attribute.kind) {
    case BP_ATTRIBUTE_INT: return in_range(value.integer);
    case BP_ATTRIBUTE_FLOAT: return std::isfinite(value.number) && in_range(value.number);
    case BP_ATTRIBUTE_INT_LIST:
      return value.integer == 0 || (value.integer > 0 && value.integers != nullptr &&
                                    std::all_of(value.integers, value.integers + value.integer, in_range));
    case BP_ATTRIBUTE_TEXT: {
      if (value.text == nullptr || attribute.choices == nullptr) return attribute.choices == nullptr;
      const char* const* choice = attribute.choices;
      while (*choice != nullptr && std::strcmp(*choice, value.text) != 0) ++choice;
      return *choice != nullptr;
    }
    default: return true;
  }
}

/// Collects what is wrong with a plug-in's tables, so that its author sees all of it at once.
class TableCheck {
 public:
  void require(bool condition, const std::string& finding) {
    if (!condition) findings_.push_back(finding);
  }
  bool text(const char* value, const std::string& what) {
    const bool present = value != nullptr && *value != '\0';
    require(present, what + " is missing");
    require(!present || printable(value) == value, what + " is not printable UTF-8");
    return present;
  }
  /// Names appear in YAML, HDF5 and file names.
  void name(const char* value, const std::string& what) {
    if (!text(value, what)) return;
    const std::string_view name = value;
    require(name.size() <= 64, fmt::format("{} '{}' is longer than 64 characters", what, name));
    require(std::all_of(name.begin(), name.end(),
                        [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }),
            fmt::format("{} '{}' has characters other than letters, digits and '_'", what, name));
  }
  void attributes(const std::string& owner, const bp_attribute* const* attributes, std::uint32_t count, bool of_layer) {
    std::set<std::string> names;
    for (std::uint32_t i = 0; i < count; ++i) {
      const bp_attribute* attribute = attributes == nullptr ? nullptr : attributes[i];
      require(attribute != nullptr, owner + ": an attribute is NULL");
      if (attribute == nullptr) continue;
      name(attribute->name, owner + ": the name of an attribute");
      if (attribute->name == nullptr) continue;
      require(names.insert(attribute->name).second,
              fmt::format("{}: attribute '{}' is declared twice", owner, attribute->name));
      require(attribute->kind >= BP_ATTRIBUTE_BOOL && attribute->kind <= BP_ATTRIBUTE_INT_LIST,
              fmt::format("{}: attribute '{}' has an unknown kind {}", owner, attribute->name, attribute->kind));
      require(attribute->required != 0 || default_fits(*attribute),
              fmt::format("{}: the default of attribute '{}' is not what the attribute itself allows", owner,
                          attribute->name));
      for (const char* const* choice = attribute->choices; choice != nullptr && *choice != nullptr; ++choice)
        text(*choice, fmt::format("{}: a choice of attribute '{}'", owner, attribute->name));
      require(!of_layer || !is_common_layer_key(attribute->name),
              fmt::format("{}: attribute '{}' has a name that every layer already has", owner, attribute->name));
    }
  }
  const std::vector<std::string>& findings() const { return findings_; }

 private:
  std::vector<std::string> findings_;
};

void check_layer(TableCheck& check, const bp_layer_type& type) {
  check.name(type.name, "the name of a layer type");
  const std::string owner = fmt::format("layer type '{}'", type.name == nullptr ? "?" : type.name);
  check.attributes(owner, type.attributes, type.attribute_count, true);
  std::set<std::string> parameters;
  for (std::uint32_t i = 0; i < type.parameter_count; ++i) {
    const bp_parameter* parameter = type.parameters == nullptr ? nullptr : type.parameters[i];
    check.require(parameter != nullptr, owner + ": a parameter is NULL");
    if (parameter == nullptr) continue;
    check.name(parameter->name, owner + ": the name of a parameter");
    check.require(
        parameter->name == nullptr || parameters.insert(parameter->name).second,
        fmt::format("{}: parameter '{}' is declared twice", owner, parameter->name == nullptr ? "" : parameter->name));
    check.text(parameter->role, owner + ": the role of a parameter");
    check.text(parameter->init, owner + ": the initialiser of a parameter");
  }
  check.require(type.create != nullptr, owner + ": create is NULL");
  check.require(type.destroy != nullptr, owner + ": destroy is NULL");
  check.require(type.plan != nullptr, owner + ": plan is NULL");
  check.require(type.inputs_min >= 1 && type.inputs_min <= type.inputs_max,
                owner + ": the number of inputs makes no sense");
  check.require(type.f32 != nullptr || type.f64 != nullptr, owner + ": it has kernels for neither float32 nor float64");
  for (const bp_kernels* kernels : {type.f32, type.f64})
    if (kernels != nullptr)
      check.require(kernels->forward != nullptr && kernels->backward != nullptr,
                    owner + ": forward or backward is NULL");
}

void check_activation(TableCheck& check, const bp_activation_type& type) {
  check.name(type.name, "the name of an activation");
  const std::string owner = fmt::format("activation '{}'", type.name == nullptr ? "?" : type.name);
  check.attributes(owner, type.attributes, type.attribute_count, false);
  check.require(type.create != nullptr && type.destroy != nullptr, owner + ": create or destroy is NULL");
  check.require(type.f32 != nullptr || type.f64 != nullptr, owner + ": it has kernels for neither float32 nor float64");
  for (const bp_activation_kernels* kernels : {type.f32, type.f64})
    if (kernels != nullptr)
      check.require(kernels->forward != nullptr && kernels->backward != nullptr,
                    owner + ": forward or backward is NULL");
}

/// Adopts a plug-in's list of types; a hole in it, or a name that comes twice, is a finding.
template <class Table, class Adopt>
std::vector<Table> adopt_types(TableCheck& check, const std::string& noun, const Table* const* list,
                               std::uint32_t count, Adopt adopt_type) {
  std::vector<Table> types;
  std::set<std::string> names;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Table* type = list == nullptr ? nullptr : list[i];
    check.require(type != nullptr, fmt::format("{} {} of {} is NULL", noun, i + 1, count));
    if (type == nullptr) continue;
    const char* name = types.emplace_back(adopt_type(type)).name;
    check.require(name == nullptr || names.insert(name).second,
                  fmt::format("{} '{}' is there twice", noun, name == nullptr ? "" : name));
  }
  return types;
}

void try_to_load(const std::string& path) {
  load_library(path, Trial::none);
}

}  // namespace

const ChildJob kTryPlugin = trial_job<try_to_load>("try-plug-in");

Library load_library(const std::string& given, Trial trial) {
  std::error_code error;
  const std::string path = std::filesystem::weakly_canonical(given, error).string();
  const auto status = std::filesystem::status(given, error);
  const auto fail = [&](const std::string& why) {
    throw UserError(ExitCode::no_input, fmt::format("plug-in {}: {}", given, why),
                    "`backplane plugin list` shows what was found and where");
  };
  if (error) fail(error.value() == ENOENT ? "there is no such file" : reason_of(error.value()));
  if (!std::filesystem::is_regular_file(status)) fail("this is not a regular file");
  if (::access(path.c_str(), R_OK) != 0) fail(reason_of(errno));
  if (const std::string why = why_not_loadable(path); !why.empty())
    reject(path, "is not a plug-in: " + why, "build it again; plug-ins are shared libraries made with bp_add_plugin");

  if (trial == Trial::in_child)
    if (const std::string why = why_trial_does_not_return(kTryPlugin, path); !why.empty())
      reject(path, why, "it is a defect of the plug-in: of a static object's constructor, or of " BP_PLUGIN_SYMBOL);

  const GuardedOwner owner{fmt::format("error: plug-in {}: ", printable(path)), ""};
  const bp_plugin_function entry = find_entry(path, owner);
  const bp_plugin* table = nullptr;
  bp_context context;
  if (call_guarded(context, owner, BP_PLUGIN_SYMBOL, nullptr, [&] { return table = entry(), bp_status{BP_OK}; }) !=
      BP_OK)
    reject(path, BP_PLUGIN_SYMBOL " failed: " + context.text,
           "it is a defect of the plug-in, often of a `describe` or a constructor");
  const PluginGuard guard(owner, "reading its tables");  // pointers and counts in them may be wrong
  if (table == nullptr) reject(path, BP_PLUGIN_SYMBOL " returned NULL", "it is a defect of the plug-in");
  const bp_plugin plugin = copy_table(table);
  check_versions(path, plugin);

  TableCheck check;
  check.text(plugin.id, "the plug-in's id");
  check.text(plugin.version, "the plug-in's version");
  Library library{.tables = std::make_shared<AdoptedTables>()};
  library.layers = adopt_types(check, "layer type", plugin.layers, plugin.layer_count,
                               [&](const bp_layer_type* type) { return adopt_layer(type, *library.tables); });
  library.activations =
      adopt_types(check, "activation", plugin.activations, plugin.activation_count,
                  [&](const bp_activation_type* type) { return adopt_activation(type, *library.tables); });
  for (const bp_layer_type& type : library.layers) check_layer(check, type);
  for (const bp_activation_type& type : library.activations) check_activation(check, type);
  check.require(plugin.layer_count + plugin.activation_count > 0, "it has neither layers nor activations");
  if (!check.findings().empty())
    reject(path, fmt::format("breaks the plug-in contract: {}", fmt::join(check.findings(), "; ")),
           "it is a defect of the plug-in; see backplane/abi.h");

  const auto or_empty = [](const char* text) { return printable(text == nullptr ? "" : text); };
  library.identity = {.id = plugin.id,
                      .version = plugin.version,
                      .summary = or_empty(plugin.summary),
                      .licence = or_empty(plugin.licence),
                      .file = path,
                      .sha256 = sha256_of_file(path),
                      .abi_minor_built = plugin.abi_minor_built,
                      .abi_minor_needed = plugin.abi_minor_needed};
  return library;
}

}  // namespace backplane
