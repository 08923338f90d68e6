#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"
#include "base/printable.h"
#include "base/suggest.h"
#include "cli/commands.h"
#include "tensor/buffer.h"

namespace backplane::cli {

namespace {

constexpr const char* kFooter =
    "Results go to stdout, messages and progress to stderr.\n"
    "Exit codes: 0 ok, 1 what was compared differs, 64 usage, 65 bad data or checkpoint, 66 missing input,\n"
    "70 plug-in or internal fault, 74 I/O, 75 stopped by a signal with a checkpoint, 76 the loss became NaN or "
    "infinite,\n"
    "78 bad configuration.";

int exit_with(ExitCode code) {
  return static_cast<int>(code);
}

constexpr const char* kUsageHint = "`backplane --help` and `backplane COMMAND --help` show what can be said";

/// CLI11's message; where a word stands for a subcommand and is none, that word with the nearest subcommand.
int report_usage(const CLI::App& app, const CLI::ParseError& error, const Words& words) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  Diagnostic finding{.what = error.what(), .hint = kUsageHint};
  const CLI::App* parent = &app;
  for (const std::string& word : words) {
    std::vector<std::string> commands;
    for (const CLI::App* command : parent->get_subcommands({})) commands.push_back(command->get_name());
    if (commands.empty() || word.starts_with('-')) break;
    if (std::find(commands.begin(), commands.end(), word) == commands.end()) {
      finding.what = fmt::format("unknown command '{}'", word);
      finding.nearest = nearest_name(word, commands);
      finding.known = commands;
      break;
    }
    parent = parent->get_subcommand(word);
  }
  fmt::print(stderr, "{}\n", finding.text());
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
  add_bench(app, words, action);
  add_check(app, words, action);
  add_export(app, action);
  add_inspect(app, action);
  add_diff(app, action);
  add_plugin(app, action);
  add_replay(app, action);
  add_verify_resume(app, words, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error, words);
  }
  const ExitCode code = action();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    throw UserError(ExitCode::io, "the results could not be written to stdout",
                    "is the disk full, or the pipe closed?");
  return exit_with(code);
}

}  // namespace

}  // namespace backplane::cli

int main(int argc, char** argv) {
  using backplane::ExitCode;
  backplane::keep_freed_memory();
  try {
    return backplane::cli::run(argc, argv);
  } catch (const backplane::UserError& error) {
    fmt::print(stderr, "{}\n", backplane::printable(error.what(), /*lines=*/true));  // names come from files
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "error: out of memory\n  hint: a smaller batch, network or data set needs less\n");
    return static_cast<int>(ExitCode::internal);
  } catch (const std::exception& error) {
    fmt::print(
        stderr,
        "internal error: {}\n  hint: this is a fault of the program; please report it with the command that led here\n",
        backplane::printable(error.what(), true));
    return static_cast<int>(ExitCode::internal);
  }
}
