#pragma once

#include <string>

#include "inspect/tensor_file.h"

namespace backplane {

/// Whether the layer of a checkpoint has at most 8 units and 8 inputs, and the shapes that the tables count on.
bool is_worked_example(const TensorFile& file, const FileLayer& layer);

/// Number by number, as the worked example in a text book is: one line per unit with z, a, ∂C/∂a and δ, one line per
/// weight with its gradient. Weights are counted on from `weights`, through all layers.
std::string worked_example(const TensorFile& file, const FileLayer& layer, std::int64_t& weights);

/// Input, target and loss of each sample; empty where they are too many for a page.
std::string worked_samples(const TensorFile& file);

}  // namespace backplane
