#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/schema.h"
#include "data/dataset.h"
#include "experiment/initial_weights.h"
#include "generation/generate.h"
#include "recording/record_options.h"
#include "network/network.h"
#include "network/spec.h"
#include "plugin_host/registry.h"
#include "trainer/loss.h"
#include "trainer/options.h"

namespace backplane {

/// What the command line adds to an experiment's YAML.
struct ExperimentRequest {
  std::string file;
  std::vector<std::string> overrides;       ///< the words behind --set
  std::vector<std::string> override_words;  ///< how messages name them: "command line, word 4 (--set a=b)"
  std::vector<std::string> plugins;         ///< files behind --plugin
  std::string weights{};                    ///< the file behind --weights, in place of network.init_from; empty: none
  std::vector<std::string> renames{};       ///< the words behind --rename
};

/// How often checkpoints are committed and how many stay.
struct CheckpointOptions {
  config::Duration every;
  std::int64_t keep = 3;
  config::Duration keep_every;  ///< one each so many is committed as well, and stays; 0: none
  bool keep_best = false;       ///< one is committed each epoch; that of the lowest validation loss stays
  Place place;                  ///< of keep_best
};

/// An experiment, read and checked: everything that can be said before any data is read.
struct Experiment {
  std::string name;
  std::uint64_t seed = 0;
  DType dtype = DType::float32;
  NetworkSpec network;
  std::optional<InitialWeights> initial_weights;
  TrainOptions train;
  CheckpointOptions checkpoint;
  RecordOptions record;
  GenerateOptions generate;
  std::int64_t metrics_every = 0;  ///< steps between lines of the training split
  config::Node resolved;           ///< the whole document, every default filled in
};

/// The schema of a whole experiment file.
config::Schema experiment_schema(const Registry& registry);

/// Parses, overrides and validates. Throws UserError (bad_config, usage, no_input) with every finding.
Experiment read_experiment(const ExperimentRequest& request, const Registry& registry);

/// The same of a document that is at hand: /config of a checkpoint. `source` names it in errors.
Experiment read_experiment_text(const std::string& yaml, const std::string& source, const Registry& registry);

/// Everything a run computes with, made from an experiment in the order of the data flow.
struct Model {
  DataSet data;
  Network network;
  Loss loss;
  std::vector<std::string> notes{};     ///< what the user is to know of the initial weights
  std::vector<std::string> warnings{};  ///< of what is hardly meant so, the data's among them
};
Model build_model(const Experiment& experiment, const Registry& registry);
/// The same of data that has been loaded.
Model build_model(const Experiment& experiment, const Registry& registry, DataSet data);

}  // namespace backplane
