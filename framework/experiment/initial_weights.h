#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "network/network.h"

namespace backplane {

/// `network.init_from`: a file whose weights a network begins with.
struct InitialWeights {
  std::string file;  ///< safetensors, npz, or a checkpoint
  /// What names of the file stand for: a whole name, or the part before a dot. "0" → "hidden1" makes "0.weight"
  /// "hidden1.weight".
  std::vector<std::pair<std::string, std::string>> renames;
  bool is_partial = false;  ///< whether file and network may have tensors that the other lacks
  Place place{};            ///< where the experiment names the file
};

/// The schema of `network.init_from`: a file's name, or a map with file, rename and partial.
config::Schema initial_weights_schema();

/// Reads a validated `network.init_from`. Throws UserError (bad_config) where a rename is not OLD=NEW
/// or the file has no name.
InitialWeights read_initial_weights(const config::Node& section);

/// Overwrites parameters and running statistics with those of the file. A tensor of the file belongs to what has its
/// name, once renamed: "<layer>.<parameter>", or as PyTorch calls it, "<layer>.weight_ih_l0", or without the layer
/// where only one layer has such a tensor. "….num_batches_tracked" is passed over: nothing here counts batches.
///
/// Returns what the user is to know, a sentence each: how many tensors were read, what was rounded, what keeps its
/// initial value. Throws UserError: no_input, bad_data as open_weight_file; bad_data with every tensor that is missing,
/// unknown, or of another shape or type, the nearest name, and renames that would do. All say where the experiment
/// names the file.
std::vector<std::string> load_initial_weights(const InitialWeights& initial, Network& network);

}  // namespace backplane
