#pragma once

#include <backplane/abi.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/child_program.h"

namespace backplane {

/// What a plug-in says of itself, copied out of its table, and where it came from.
struct PluginIdentity {
  std::string id;
  std::string version;
  std::string summary;
  std::string licence;
  std::string file;    ///< absolute path
  std::string sha256;  ///< of the file
  std::uint32_t abi_minor_built = 0;
  std::uint32_t abi_minor_needed = 0;
};

/// Host memory for the tables that a plug-in's types point to.
struct AdoptedTables {
  std::deque<bp_kernels> kernels;
  std::deque<bp_activation_kernels> activation_kernels;
  std::deque<bp_attribute> attributes;
  std::deque<bp_parameter> parameters;
  std::deque<std::vector<const bp_attribute*>> attribute_lists;
  std::deque<std::vector<const bp_parameter*>> parameter_lists;
  std::deque<std::string> texts;
};

/// A loaded plug-in: all tables copied into host memory and checked. Text and function pointers in them stay valid for
/// the life of the process, since libraries are never unloaded.
struct Library {
  PluginIdentity identity;
  std::shared_ptr<AdoptedTables> tables;
  std::vector<bp_layer_type> layers;
  std::vector<bp_activation_type> activations;
};

/// Whether a plug-in is loaded in a child process first, which costs some ten milliseconds.
enum class Trial { none, in_child };

/// Loads one plug-in: looks at the file before any of its code runs, opens it with all symbols bound now and none
/// shared, asks its entry for the table, and checks versions and tables.
///
/// Throws UserError with one sentence and a remedy: no_input where there is no such file; internal (70) where it is
/// no shared library, damaged, for another machine, no plug-in, of another ABI, or breaks the contract (all findings
/// of its tables at once), or its loading crashes or ends the child in which it is tried. A library that changes the
/// floating-point mode of the thread is loaded with the mode put back. [load] Not for use by two threads at once.
Library load_library(const std::string& path, Trial trial = Trial::in_child);

/// What the child does in which one is tried.
extern const ChildJob kTryPlugin;

}  // namespace backplane
