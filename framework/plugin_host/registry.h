#pragma once

#include <deque>
#include <string>
#include <vector>

#include "plugin_host/library.h"

namespace backplane {

/// A layer or activation type and the plug-in it came from. Pointers stay valid as long as the registry lives.
template <class Type>
struct Registered {
  const Type* type = nullptr;
  const PluginIdentity* plugin = nullptr;
};

/// A file that looked like a plug-in and could not be used.
struct FailedPlugin {
  std::string file;
  std::string why;
};

/// Every plug-in of the process. Filled at the start by one thread, read-only afterwards.
class Registry {
 public:
  /// Loads the files of `explicit_files` (a failure is thrown), then every `*.bp.so` of the directories
  /// (a failure is remembered in `failed`): first those of $BACKPLANE_PLUGIN_PATH, then `plugins` beside the program,
  /// then where `make install` puts them. A file whose id or types are already there is among the failed: the first one
  /// found counts.
  static Registry discover(const std::vector<std::string>& explicit_files);

  /// Loads one plug-in. Throws UserError as load_library does, and where another plug-in already has one of its
  /// names (both files are named).
  void load(const std::string& file);

  const std::deque<Library>& libraries() const { return libraries_; }
  const std::vector<FailedPlugin>& failed() const { return failed_; }
  const std::vector<std::string>& searched() const { return searched_; }

  /// nullptr members where there is no such type.
  Registered<bp_layer_type> find_layer(const std::string& name) const;
  Registered<bp_activation_type> find_activation(const std::string& name) const;

 private:
  void scan(const std::string& directory);

  std::deque<Library> libraries_;
  std::vector<FailedPlugin> failed_;
  std::vector<std::string> searched_;
};

}  // namespace backplane
