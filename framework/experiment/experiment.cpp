#include "experiment/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/utf8.h"
#include "config/parse.h"
#include "data/sources.h"
#include "experiment/number_range.h"
#include "experiment/preflight.h"
#include "trainer/metrics.h"

namespace backplane {

using config::Node;
using config::Schema;

Schema experiment_schema(const Registry& registry) {
  const Schema checkpoint = Schema::map()
                                .optional("every", Schema::duration(), "1 epoch", "how often a checkpoint is committed")
                                .optional("keep", Schema::integer().at_least(1), "3", "how many checkpoints stay")
                                .optional("keep_every", Schema::duration(), std::nullopt,
                                          "one each so many steps or epochs is committed and stays")
                                .optional("keep_best", Schema::boolean(), "false",
                                          "one is committed each epoch, and that of the lowest validation loss stays");
  const Schema metrics = Schema::map().optional("every", Schema::integer().at_least(1), "100",
                                                "steps between lines of the training split");
  const Schema generate =
      Schema::map()
          .optional("samples", Schema::integer().at_least(1).at_most(64), "3", "how many texts")
          .optional("length", Schema::integer().at_least(1).at_most(100'000), "300", "symbols of each")
          .optional("temperature", Schema::number().at_least(0.01).at_most(100), "0.8", "below 1: likelier symbols");
  const Schema network = network_schema(registry).optional("init_from", initial_weights_schema(), std::nullopt,
                                                           "a file of weights to begin with");
  return Schema::map()
      .required("name", Schema::text(), "names the run directory")
      .optional("seed", Schema::integer().at_least(0), "0", "all random numbers are functions of it")
      .optional("dtype", Schema::text_of({"float32", "float64"}), "float32", "element type of all tensors")
      .required("data", data_schema(), "where samples come from")
      .required("network", network, "layers and loss")
      .required("train", train_schema(), "how the network is trained")
      .optional("record", record_schema(), "{}", "what is recorded of each layer")
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
            .what = fmt::format("'{}' is not a valid run name", text),
            .path = "name",
            .hint = "it becomes a directory: letters, digits, '_', '-' and '.', beginning with a letter or digit"});
}

/// Puts what stands behind --weights and --rename into the tree, where the schema will look at it: another file, and
/// more renames; what else init_from says stays.
void set_initial_weights(Node& root, const ExperimentRequest& request) {
  Node* network = root.is_map() ? root.find("network") : nullptr;
  if (request.weights.empty() || network == nullptr || !network->is_map()) return;
  if (!is_utf8(request.weights))  // config.yaml will name it
    throw UserError(
        ExitCode::usage,
        fmt::format("--weights {}: its path is not valid UTF-8, which config.yaml has to be", request.weights),
        "give the file another name, or a link with another name");
  const auto from_command_line = [](const std::string& word) {
    Node node = Node::text(word);
    config::set_origin(node, {.source = "command line (--weights, --rename)"}, false);
    return node;
  };
  const auto entry_of = [](Node& map, const char* key, const Node& otherwise) -> Node& {
    if (map.find(key) == nullptr) map.map.emplace_back(key, otherwise);
    return *map.find(key);
  };
  Node& section = entry_of(*network, "init_from", Node::empty_map());
  if (!section.is_map()) section = Node::empty_map();  // the name of a file alone
  entry_of(section, "file", {}) = from_command_line(request.weights);
  for (const std::string& word : request.renames) {
    Node& renames = entry_of(section, "rename", Node::empty_list());
    if (renames.is_list()) renames.list.push_back(from_command_line(word));  // else the schema says what is wrong
  }
}

Experiment read_document(const Node& root, const Registry& registry) {
  Experiment experiment;
  experiment.resolved = config::validate(root, experiment_schema(registry));
  const Node& document = experiment.resolved;
  check_run_name(document.at("name"));
  experiment.name = document.at("name").as_text();
  experiment.seed = static_cast<std::uint64_t>(document.at("seed").as_integer());
  experiment.dtype = document.at("dtype").as_text() == "float64" ? DType::float64 : DType::float32;
  require_representable(document, experiment.dtype);
  experiment.network = read_network(document.at("network"));
  if (const Node* section = document.at("network").find("init_from"); section != nullptr && !section->is_null())
    experiment.initial_weights = read_initial_weights(*section);
  experiment.train = read_train(document.at("train"));
  experiment.record = read_record(document.at("record"));
  if (const Node* generate = document.find("generate"); generate != nullptr && !generate->is_null())
    experiment.generate = {.samples = generate->at("samples").as_integer(),
                           .length = generate->at("length").as_integer(),
                           .temperature = generate->at("temperature").as_number(),
                           .place = generate->place};
  experiment.metrics_every = document.at("metrics").at("every").as_integer();
  const Node& checkpoint = document.at("checkpoint");
  experiment.checkpoint = {.every = config::parse_duration(checkpoint.at("every")),
                           .keep = checkpoint.at("keep").as_integer(),
                           .keep_every = {},
                           .keep_best = checkpoint.at("keep_best").as_bool(),
                           .place = checkpoint.at("keep_best").place};
  if (const Node* every = checkpoint.find("keep_every"))
    experiment.checkpoint.keep_every = config::parse_duration(*every);
  return experiment;
}

}  // namespace

Experiment read_experiment(const ExperimentRequest& request, const Registry& registry) {
  Node root = config::parse_file(request.file);
  for (std::size_t i = 0; i < request.overrides.size(); ++i)
    config::apply_override(root, request.overrides[i], request.override_words[i]);
  set_initial_weights(root, request);
  return read_document(root, registry);
}

Experiment read_experiment_text(const std::string& yaml, const std::string& source, const Registry& registry) {
  return read_document(config::parse_text(yaml, source), registry);
}

Model build_model(const Experiment& experiment, const Registry& registry) {
  return build_model(experiment, registry, load_data(experiment.resolved.at("data"), experiment.seed));
}

Model build_model(const Experiment& experiment, const Registry& registry, DataSet data) {
  Network network(experiment.network, registry, data.input_shape, experiment.dtype, experiment.seed,
                  experiment.train.l1, experiment.train.l2);
  check_before_training(experiment, data, network);
  Loss loss(experiment.network, network, data);
  MetricSet(experiment.train.metrics, loss);  // throws where one does not go with the data
  std::vector<std::string> notes;
  if (experiment.initial_weights) {
    notes = load_initial_weights(*experiment.initial_weights, network);
    data.files.push_back(experiment.initial_weights->file);
  }
  std::vector<std::string> warnings = doubts_before_training(experiment, data, network, loss);
  return {std::move(data), std::move(network), std::move(loss), std::move(notes), std::move(warnings)};
}

}  // namespace backplane
