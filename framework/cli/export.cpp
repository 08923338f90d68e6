#include "exchange/export.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "checkpoint/reader.h"
#include "cli/commands.h"
#include "cli/named_outputs.h"
#include "cli/output.h"
#include "files/output.h"

namespace backplane::cli {

namespace {

struct ExportWords {
  std::string file, format, out;
  std::string names = "backplane";
  bool is_forced = false;
};

ExitCode export_weights(const ExportWords& words) {
  const std::string out =
      words.out.empty() ? std::filesystem::path(words.file).stem().string() + "." + words.format : words.out;
  const Existing existing = words.is_forced ? Existing::replace : Existing::refuse;
  settle_outputs({{"--out", out}}, {{"CHECKPOINT", words.file}});
  const Output output(out, existing);
  const Snapshot snapshot = read_checkpoint(words.file);
  const std::string bytes =
      build_weight_file(snapshot, words.format == "npz" ? WeightFormat::npz : WeightFormat::safetensors,
                        words.names == "pytorch" ? WeightNames::pytorch : WeightNames::backplane);
  output.write(bytes);
  show("{}   {} tensors after {} steps, {} bytes\n", out, weights_of(snapshot).size(), snapshot.step, bytes.size());
  return ExitCode::ok;
}

}  // namespace

void add_export(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "export", "write the weights of a checkpoint for other programs; `run --weights` reads such files");
  auto words = std::make_shared<ExportWords>();
  command->add_option("CHECKPOINT", words->file, "RUN/checkpoints/step-<8 digits>.h5")->required()->check(check_path);
  command->add_option("--to", words->format, "safetensors or npz")
      ->required()
      ->check(CLI::IsMember({"safetensors", "npz"}));
  command->add_option("--out", words->out, "the file to write; default step-<8 digits>.<format> here")
      ->check(check_path);
  command
      ->add_option("--names", words->names, "backplane: <layer>.W; pytorch: <layer>.weight, ready for load_state_dict")
      ->check(CLI::IsMember({"backplane", "pytorch"}));
  command->add_flag("--force", words->is_forced, "replace a file that is there");
  command->callback([&action, words] { action = [words] { return export_weights(*words); }; });
}

}  // namespace backplane::cli
