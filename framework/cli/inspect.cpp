#include <fmt/format.h>

#include <memory>

#include "checkpoint/reader.h"
#include "cli/commands.h"
#include "cli/tables.h"

namespace backplane::cli {

namespace {

struct InspectWords {
  std::string file;
};

ExitCode inspect(const InspectWords& words) {
  fmt::print("{}", checkpoint_tables(read_checkpoint(words.file)));
  return ExitCode::ok;
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "inspect", "what a checkpoint holds: weights, z, activation, delta and gradients of every layer");
  auto words = std::make_shared<InspectWords>();
  command->add_option("FILE", words->file, "RUN/checkpoints/step-<8 digits>.h5")->required();
  command->callback([&action, words] { action = [words] { return inspect(*words); }; });
}

}  // namespace backplane::cli
