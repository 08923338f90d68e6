#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/store.h"
#include "experiment/experiment.h"

namespace backplane {

/// Whether a run goes on from its newest checkpoint, and what it minds.
enum class Resume {
  no,
  strict,  ///< what differs from the checkpoint and could change results ends the run before it begins
  loose    ///< it is said, and the run goes on where shapes fit
};

/// What differs between a checkpoint and the run that would go on from it, each a sentence with both values.
struct Differences {
  std::vector<std::string> config;       ///< keys of the resolved YAML, those aside that change no training
  std::vector<std::string> environment;  ///< data, plug-ins, program, instruction set, libraries that compute
  std::vector<std::string> notes;        ///< what should change nothing: CPU, other libraries, where the same data are
};

/// `environment`: as describe_environment gives it now.
Differences compare(const Snapshot& checkpoint, const Experiment& experiment, const Network& network,
                    const Registry& registry, const nlohmann::ordered_json& environment);

/// What an environment says of the file of initial weights, where the run that goes on names the file that the
/// checkpoint's began with, or one of the same bytes. A resumed run reads no initial weights, and so lists none itself.
std::optional<nlohmann::ordered_json> same_initial_weights(const Snapshot& checkpoint, const Experiment& experiment);

/// Throws UserError where a strict resume minds the differences: bad_config where a key differs, else bad_data.
void require_no_difference(const Differences& differences);

/// The checkpoint that a run directory goes on from; empty where it holds none yet.
/// Throws UserError as read_newest_checkpoint does, and no_input where checkpoints stand without their manifest.
std::optional<NewestCheckpoint> find_checkpoint(const std::string& run_directory);

/// Whether summary.json of a run directory says that the run ended by itself exactly at this checkpoint.
bool is_done(const std::string& run_directory, const Snapshot& checkpoint);

}  // namespace backplane
