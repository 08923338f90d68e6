#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "experiment/experiment.h"
#include "files/named_file.h"
#include "plugin_host/registry.h"

namespace backplane::cli {

/// On stderr, a line each.
void print_warnings(const std::vector<std::string>& warnings);

/// What a subcommand does once its words are parsed.
using Action = std::function<ExitCode()>;

/// The words of the command line, for messages that say which of them is wrong.
using Words = std::vector<std::string>;

/// Of a word that names a file or folder: what is wrong with it, or "". An empty one is a variable that is not set.
std::string check_path(const std::string& word);

/// Each adds one subcommand to `app` and sets `action` when it is the one called. One file each.
void add_run(CLI::App& app, const Words& words, Action& action);
void add_bench(CLI::App& app, const Words& words, Action& action);
void add_check(CLI::App& app, const Words& words, Action& action);
void add_export(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_diff(CLI::App& app, Action& action);
void add_plugin(CLI::App& app, Action& action);
void add_replay(CLI::App& app, Action& action);
void add_verify_resume(CLI::App& app, const Words& words, Action& action);

/// Registry::discover; what was found and not loaded is said on stderr.
Registry discover_plugins(const std::vector<std::string>& explicit_files);

/// The options that every command on an experiment has: FILE, --set, --plugin.
struct ExperimentWords {
  std::string file;
  std::vector<std::string> overrides;
  std::vector<std::string> plugins;
  std::string weights;
  std::vector<std::string> renames;

  void add_to(CLI::App& command);
  /// --weights and --rename, of commands whose results depend on them.
  void add_weights_to(CLI::App& command);
  /// The files among them, for `settle_outputs`.
  std::vector<NamedFile> files() const;
  ExperimentRequest request(const Words& words) const;
};

}  // namespace backplane::cli
