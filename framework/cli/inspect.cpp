#include "inspect/inspect.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/output.h"
#include "recording/repair.h"

namespace backplane::cli {

namespace {

void report(const Repair& repair) {
  show("{}: {} complete records", repair.path, repair.records);
  if (repair.records > 0) show(", steps {} to {}", repair.first_step, repair.last_step);
  show("; {}\n", repair.was_needed ? "closed" : "was closed already: nothing to repair");
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "inspect",
      "what a checkpoint, a trace or a run holds: weights, z, activation, delta and gradients of every layer");
  auto request = std::make_shared<InspectRequest>();
  Selection& selection = request->selection;
  command->add_option("FILE", request->path, "RUN/checkpoints/step-<8 digits>.h5, RUN/trace.h5, or RUN itself")
      ->required()
      ->check(check_path);
  CLI::Option* layer = command->add_option("--layer", selection.layer, "this layer alone");
  CLI::Option* tensor =
      command->add_option("--tensor", selection.tensor, "its elements: delta, weights/W, …")->needs(layer);
  command->add_option("--sample", selection.sample, "of these the K-th stored sample, from 0")
      ->needs(tensor)
      ->type_name("K");
  command->add_option("--step", selection.step, "of a trace the record of step S; default: the last")
      ->needs(tensor)
      ->type_name("S");
  CLI::Option* all = command->add_flag("--all", request->all, "leave no row, column or record out");
  CLI::Option* json = command->add_flag("--json", request->json, "for machines: everything, with all digits");
  const auto repairs = std::make_shared<bool>(false);
  command->add_flag("--repair", *repairs, "close the trace of a run that was killed, so that any program can open it")
      ->excludes(layer, all, json);
  command->callback([&action, request, repairs] {
    action = [request, repairs] {
      if (*repairs) {
        report(repair_trace(request->path));
        return ExitCode::ok;
      }
      const auto warn = [](std::string_view text) { say("warning: {}\n", text); };
      inspect(*request, print, warn);
      return ExitCode::ok;
    };
  });
}

}  // namespace backplane::cli
