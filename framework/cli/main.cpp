#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"
#include "base/suggest.h"
#include "cli/commands.h"

namespace backplane::cli {

namespace {

constexpr const char* kFooter =
    "Results go to stdout, messages and progress to stderr.\n"
    "Exit codes: 0 ok, 64 usage, 65 bad data or checkpoint, 66 missing input, 70 plug-in or internal fault, 74 I/O,\n"
    "75 stopped by a signal with a checkpoint, 76 the loss became NaN or infinite, 78 bad configuration.";

int exit_with(ExitCode code) { return static_cast<int>(code); }

/// CLI11's message, with the nearest subcommand where the first word is none.
int report_usage(const CLI::App& app, const CLI::ParseError& error, const Words& words) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  std::string message = fmt::format("error: {}", error.what());
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  if (!words.empty() && std::find(commands.begin(), commands.end(), words[0]) == commands.end())
    if (const std::string nearest = nearest_name(words[0], commands); !nearest.empty()) message += fmt::format("\n  did you mean '{}'?", nearest);
  fmt::print(stderr, "{}\n  hint: `backplane --help` and `backplane COMMAND --help` show what can be said\n", message);
  return exit_with(ExitCode::usage);
}

int run(int argc, char** argv) {
  const Words words(argv + 1, argv + argc);
  CLI::App app("Backplane: backpropagation whose layers are plug-ins", "backplane");
  app.set_version_flag("--version", "backplane " BACKPLANE_VERSION);
  app.footer(kFooter);
  app.require_subcommand(1);
  Action action;
  add_run(app, words, action);
  add_check(app, words, action);
  add_inspect(app, action);
  add_plugin(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error, words);
  }
  return exit_with(action());
}

}  // namespace

}  // namespace backplane::cli

int main(int argc, char** argv) {
  using backplane::ExitCode;
  try {
    return backplane::cli::run(argc, argv);
  } catch (const backplane::UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "error: out of memory\n  hint: a smaller batch, network or data set needs less\n");
    return static_cast<int>(ExitCode::internal);
  } catch (const std::exception& error) {
    fmt::print(stderr, "internal error: {}\n  hint: this is a fault of the program; please report it with the command that led here\n", error.what());
    return static_cast<int>(ExitCode::internal);
  }
}
