#include "inspect/diff.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/output.h"

namespace backplane::cli {

void add_diff(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "diff",
      "first difference between two checkpoints, two traces or two runs, in the order in which it was computed");
  command->footer(
      "Compares bits: +0 and -0 differ, a NaN equals itself. Forward through the layers, then back, step by step.\n"
      "Exit codes: 0 equal, 1 different, 65 a file is damaged or of another kind, 66 missing.");
  auto request = std::make_shared<DiffRequest>();
  command->add_option("A", request->a, "a checkpoint, a trace, or the directory of a run")
      ->required()
      ->check(check_path);
  command->add_option("B", request->b, "another of the kind")->required()->check(check_path);
  command
      ->add_option("--tolerance-ulps", request->tolerance_ulps,
                   "take numbers for equal that are at most N floating-point numbers apart")
      ->type_name("N");
  command->callback([&action, request] {
    action = [request] {
      const auto warn = [](std::string_view text) { say("warning: {}\n", text); };
      return diff(*request, print, warn) ? ExitCode::ok : ExitCode::different;
    };
  });
}

}  // namespace backplane::cli
