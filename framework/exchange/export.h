#pragma once

#include <string>
#include <vector>

#include "checkpoint/snapshot.h"
#include "exchange/tensor_view.h"

namespace backplane {

/// The model that a checkpoint holds, layer by layer: weights by name, then what a layer keeps for all samples (running
/// statistics). What recurrent layers carry from batch to batch is no part of it. Names are "<layer>.<parameter>"; the
/// data is the snapshot's.
std::vector<TensorView> weights_of(const Snapshot& snapshot);

enum class WeightFormat { safetensors, npz };

/// Which names tensors get: "<layer>.W", or "<layer>.weight" as PyTorch has it.
enum class WeightNames { backplane, pytorch };

/// These weights as a file of another format.
std::string build_weight_file(const Snapshot& snapshot, WeightFormat format, WeightNames names);

}  // namespace backplane
