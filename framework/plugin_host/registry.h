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

/// A file that looked like a plug-in and could not be used, or a folder ("" for `file`) that is not searched.
struct FailedPlugin {
  std::string file;
  std::string why;
};

/// Every plug-in of the process. Filled at the start by one thread, read-only afterwards.
class Registry {
 public:
  /// Loads every `*.bp.so` of the installation (`plugins` beside the program, then where `make install` puts them),
  /// then the files of `explicit_files`, then those of the directories of $BACKPLANE_PLUGIN_PATH. A failure is thrown
  /// for explicit files; else it is remembered in `failed`, as is a directory or file that others can write. What has
  /// a type of one that is there already has failed, so that nobody takes the place of a built-in layer; an explicit
  /// file of the same id replaces the whole plug-in, and that is remembered too. Files that are not the
  /// installation's are tried in a child process before they are loaded.
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
  void load_instead(const std::string& file);
  void add(Library library);
  void scan(const std::string& folder, Trial trial);
  bool has_file(const std::string& file) const;

  std::deque<Library> libraries_;
  std::vector<FailedPlugin> failed_;
  std::vector<std::string> searched_;
};

}  // namespace backplane
