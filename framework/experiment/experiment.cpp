#include "experiment/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/suggest.h"
#include "data/sources.h"
#include "experiment/tensor_names.h"
#include "trainer/batch_order.h"

namespace backplane {

using config::Node;
using config::Schema;

Schema experiment_schema(const Registry& registry) {
  const Schema taps = Schema::list(Schema::text()).items(1);
  const Schema record =
      Schema::map()
          .optional("samples", Schema::integer().at_least(1).at_most(1 << 16), "32",
                    "first samples of a batch whose z, activation and delta are stored")
          .optional("every", Schema::duration(), std::nullopt, "how often taps go to trace.h5; default: never")
          .optional("taps", taps, "[activation, delta, weights]",
                    "what goes to trace.h5: z, activation, delta, weights, gradients, and what layers declare");
  const Schema checkpoint = Schema::map()
                                .optional("every", Schema::duration(), "1 epoch", "how often a checkpoint is committed")
                                .optional("keep", Schema::integer().at_least(1), "3", "how many checkpoints stay");
  const Schema metrics = Schema::map().optional("every", Schema::integer().at_least(1), "100",
                                                "steps between lines of the training split");
  const Schema generate =
      Schema::map()
          .optional("samples", Schema::integer().at_least(1).at_most(64), "3", "how many texts")
          .optional("length", Schema::integer().at_least(1).at_most(100'000), "300", "symbols of each")
          .optional("temperature", Schema::number().at_least(0.01).at_most(100), "0.8", "below 1: likelier symbols");
  return Schema::map()
      .required("name", Schema::text(), "names the run directory")
      .optional("seed", Schema::integer().at_least(0), "0", "all random numbers are functions of it")
      .optional("dtype", Schema::text_of({"float32", "float64"}), "float32", "element type of all tensors")
      .required("data", data_schema(), "where samples come from")
      .required("network", network_schema(registry), "layers and loss")
      .required("train", train_schema(), "how the network is trained")
      .optional("record", record, "{}", "what is recorded of each layer")
      .optional("checkpoint", checkpoint, "{}", "when checkpoints are committed")
      .optional("generate", generate, std::nullopt, "text that the network writes at the end")
      .optional("metrics", metrics, "{}", "what is written to metrics.jsonl");
}

namespace {

void check_run_name(const Node& name) {
  const std::string& text = name.as_text();
  const bool fit = !text.empty() && text.size() <= 100 && std::isalnum(static_cast<unsigned char>(text[0])) &&
                   std::all_of(text.begin(), text.end(), [](char c) {
                     return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
                   });
  if (!fit)
    throw UserError(
        ExitCode::bad_config,
        Diagnostic{
            .place = name.place,
            .what = fmt::format("'{}' is no name for a run", text),
            .path = "name",
            .hint = "it becomes a directory: letters, digits, '_', '-' and '.', beginning with a letter or digit"});
}

}  // namespace

Experiment read_experiment(const ExperimentRequest& request, const Registry& registry) {
  Node root = config::parse_file(request.file);
  for (std::size_t i = 0; i < request.overrides.size(); ++i)
    config::apply_override(root, request.overrides[i], request.override_words[i]);
  Experiment experiment;
  experiment.resolved = config::validate(root, experiment_schema(registry));
  const Node& document = experiment.resolved;
  check_run_name(document.at("name"));
  experiment.name = document.at("name").as_text();
  experiment.seed = static_cast<std::uint64_t>(document.at("seed").as_integer());
  experiment.dtype = document.at("dtype").as_text() == "float64" ? DType::float64 : DType::float32;
  experiment.network = read_network(document.at("network"));
  experiment.train = read_train(document.at("train"));
  const Node& record = document.at("record");
  experiment.record.samples = record.at("samples").as_integer();
  if (const Node* every = record.find("every")) experiment.record.every = config::parse_duration(*every);
  for (const Node& tap : record.at("taps").list) experiment.record.taps.push_back({tap.as_text(), tap.place});
  if (const Node* generate = document.find("generate"); generate != nullptr && !generate->is_null())
    experiment.generate = {.samples = generate->at("samples").as_integer(),
                           .length = generate->at("length").as_integer(),
                           .temperature = generate->at("temperature").as_number(),
                           .place = generate->place};
  experiment.metrics_every = document.at("metrics").at("every").as_integer();
  experiment.checkpoint = {.every = config::parse_duration(document.at("checkpoint").at("every")),
                           .keep = document.at("checkpoint").at("keep").as_integer()};
  return experiment;
}

namespace {

/// Early stopping looks at the validation split: without one it would never stop anything, and say nothing.
void check_early_stopping(const std::optional<EarlyStopping>& rule, const DataSet& data) {
  if (!rule) return;
  const auto fail = [&](const char* what, const char* hint) {
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = rule->place, .what = what, .path = "train.early_stopping", .hint = hint});
  };
  if (!data.validation)
    fail("early stopping looks at the validation split, but there is none", "set validation: N in the data section");
  if (rule->by_accuracy && !data.train.has_labels())
    fail("the data has no labels, so there is no accuracy to look at", "use metric: loss");
}

/// Every tap names tensors of at least one layer.
void check_taps(const RecordOptions& record, const Network& network) {
  std::vector<std::string> known = common_taps();
  for (const LayerNode& node : network.nodes())
    for (const SavedTensor& saved : node.plan.saved)
      if (std::ranges::find(known, saved.name) == known.end()) known.push_back(saved.name);
  for (const Tap& tap : record.taps)
    if (std::ranges::find(known, tap.name) == known.end())
      throw UserError(ExitCode::bad_config,
                      Diagnostic{.place = tap.place,
                                 .what = fmt::format("no layer of this network has a tensor '{}'", tap.name),
                                 .path = "record.taps",
                                 .nearest = nearest_name(tap.name, known),
                                 .known = known});
}

/// State that is carried from batch to batch means something only where rows go on from batch to batch.
void check_streams(const TrainOptions& train, const Network& network) {
  for (const LayerNode& node : network.nodes())
    if (node.plan.has_carried_state() && !train.streams)
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{.place = node.layer.place(),
                     .what = fmt::format("layer '{}' carries its state from batch to batch, but the rows of one batch "
                                         "do not go on in the next",
                                         node.name()),
                     .hint = "set train.streams: true, which orders windows so; or stateful: false"});
}

/// Only a network that tells each next symbol of a text can write on.
void check_generate(const GenerateOptions& generate, const DataSet& data, const Network& network) {
  if (generate.samples == 0) return;
  const auto fail = [&](const std::string& what, const char* hint) {
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = generate.place, .what = what, .path = "generate", .hint = hint});
  };
  if (data.vocabulary.empty())
    fail("there is no text to go on: the data is no text", "leave it out, or train on data: text");
  if (network.output().output_size / data.steps < data.classes)
    fail(fmt::format("the last layer '{}' does not tell the {} symbols apart", network.output().name(), data.classes),
         "give it one unit a symbol");
}

/// What follows a layer that takes the time axis away sees no lengths: the layer itself has to look at them.
void check_lengths(const DataSet& data, const Network& network) {
  if (data.train.lengths.empty()) return;
  for (int i = 0; i < static_cast<int>(network.nodes().size()); ++i)
    if (const LayerNode& node = network.nodes()[static_cast<std::size_t>(i)];
        node.is_over_time && !network.is_over_time(i) && !node.plan.uses_lengths)
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{.place = node.layer.place(),
                     .what = fmt::format("layer '{}' takes the time axis away ({} to {}) without regard for "
                                         "the lengths of the samples: their padding would count",
                                         node.name(), to_string(node.input_shapes[0]), to_string(node.plan.output)),
                     .hint = "global_avg_pool and recurrent layers with output: last look at lengths"});
}

/// A layer that normalises over the batch has nothing to normalise in a batch of one row.
void check_last_batch(const TrainOptions& train, const DataSet& data, const Network& network) {
  BatchOrder order(data.train.count, train.batch_size);
  if (train.streams) order.arrange_as_streams();
  if (order.batch(order.batches() - 1).size() != 1) return;
  for (const LayerNode& node : network.nodes())
    if (node.plan.forward_sums > 0 && node.plan.output.size() == 1)
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{.place = node.layer.place(),
                     .what = fmt::format("layer '{}' needs more than one value per feature, but the last batch of an "
                                         "epoch has one row ({} samples in batches of {})",
                                         node.name(), data.train.count, train.batch_size),
                     .hint = "choose another train.batch_size, or leave a sample out with data's `limit`"});
}

/// Streams follow the order of the data; a split drawn at random tears holes into it.
void check_streams_have_no_holes(const TrainOptions& train, const DataSet& data, const Place& place) {
  if (train.streams && data.validation && data.steps == 1)
    throw UserError(ExitCode::bad_config,
                    Diagnostic{.place = place,
                               .what = "train.streams goes through the data in order, but `validation` takes samples "
                                       "out of it at random",
                               .path = "data",
                               .hint = "leave validation out"});
}

}  // namespace

Model build_model(const Experiment& experiment, const Registry& registry) {
  DataSet data = load_data(experiment.resolved.at("data"), experiment.seed);
  check_early_stopping(experiment.train.early_stopping, data);
  check_streams_have_no_holes(experiment.train, data, experiment.resolved.at("data").place);
  Network network(experiment.network, registry, data.input_shape, experiment.dtype, experiment.seed,
                  experiment.train.l1, experiment.train.l2);
  check_taps(experiment.record, network);
  check_streams(experiment.train, network);
  check_generate(experiment.generate, data, network);
  check_lengths(data, network);
  check_last_batch(experiment.train, data, network);
  Loss loss(experiment.network, network, data);
  return {std::move(data), std::move(network), std::move(loss)};
}

}  // namespace backplane
