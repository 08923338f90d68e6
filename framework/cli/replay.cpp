#include "replay/replay.h"

#include <fmt/format.h>

#include <memory>

#include "base/counted.h"
#include "base/printable.h"
#include "checkpoint/reader.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "tensor/ulps.h"

namespace backplane::cli {

namespace {

struct ReplayWords {
  std::string file, layer;
  std::vector<std::string> plugins;
};

std::string verdict(const ReplayedTensor& tensor) {
  if (!tensor.why_not.empty()) return "not compared: " + tensor.why_not;
  if (tensor.different == 0) return "same bits";
  const bool has_nan = tensor.worst_ulps == kNoUlps;
  return fmt::format("DIFFERS in {} of {} elements, {}; farthest {}: stored {:.9g}, replayed {:.9g}", tensor.different,
                     tensor.elements, has_nan ? "some NaN" : fmt::format("by up to {} ULP", tensor.worst_ulps),
                     to_string(index_of(tensor.worst_element, tensor.shape)), tensor.stored, tensor.replayed);
}

void print_layer(const ReplayedLayer& layer) {
  const bool is_same_build = layer.sha256 == layer.stored_sha256;
  show("\nlayer {}   {}, activation {}   (plug-in {} {}, {})\n", printable(layer.name), printable(layer.type),
       printable(layer.activation), printable(layer.plugin), printable(layer.version),
       is_same_build ? "the build that wrote this checkpoint"
                     : fmt::format("not the build that wrote this checkpoint, {} sha256 {}…",
                                   printable(layer.stored_version), printable(layer.stored_sha256).substr(0, 12)));
  for (const ReplayedTensor& tensor : layer.tensors)
    show("  {:<34} {:<18} {}\n", printable(tensor.name), to_string(tensor.shape), printable(verdict(tensor)));
}

ExitCode replay_layers(const ReplayWords& words) {
  const Registry registry = discover_plugins(words.plugins);
  const Snapshot snapshot = read_checkpoint(words.file);
  const Replay result = replay(snapshot, words.file, registry, words.layer);
  show("batch of step {}: {}, {} stored, in slices of {}\n", result.step + 1, counted(result.batch_rows, "sample"),
       result.stored_rows, result.slice_rows);
  std::int64_t compared = 0, different = 0, left_out = 0;
  for (const ReplayedLayer& layer : result.layers) {
    print_layer(layer);
    for (const ReplayedTensor& tensor : layer.tensors)
      tensor.why_not.empty() ? ++compared : ++left_out, different += tensor.different > 0;
  }
  if (compared == 0)
    throw UserError(ExitCode::bad_data, fmt::format("{}: nothing of it could be compared", words.file),
                    fmt::format("store the whole batch: record: {{samples: {}}}", result.batch_rows));
  show("\n{} compared, {} differ{}\n", counted(compared, "tensor"), different,
       left_out > 0 ? fmt::format("; {} not compared", left_out) : "");
  return different == 0 ? ExitCode::ok : ExitCode::different;
}

}  // namespace

void add_replay(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("replay",
                         "run layers of a checkpoint again, each on the tensors stored there, and compare bit for bit; "
                         "exit code 0: same bits, 1: different");
  auto words = std::make_shared<ReplayWords>();
  command->add_option("CHECKPOINT", words->file, "RUN/checkpoints/step-<8 digits>.h5")->required()->check(check_path);
  command->add_option("--layer", words->layer, "one layer; default: all of them");
  command
      ->add_option("--plugin", words->plugins, "load a plug-in file before searching, for instance a new build of it")
      ->take_all()
      ->expected(1)
      ->check(check_path);
  command->callback([&action, words] { action = [words] { return replay_layers(*words); }; });
}

}  // namespace backplane::cli
