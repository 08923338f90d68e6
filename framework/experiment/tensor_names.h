#pragma once

#include <map>
#include <string>
#include <vector>

#include "tensor/shape.h"

namespace backplane {

/// The names, axis labels and definitions that checkpoints and traces share.

/// [rows] in front of the shape of a sample.
Shape with_batch(std::int64_t rows, const Shape& sample);

/// "sample", then what the axes of a sample mean: unit; time, feature; height, width, channel.
std::vector<std::string> sample_axes(const Shape& sample);

/// "out" and "in" of weights, "out" of biases.
std::vector<std::string> parameter_axes(const Shape& shape);

/// What a tap is, in a sentence: "z", "activation", "delta", "activation_gradient", "weights", "gradients".
const std::string& definition_of(const std::string& tap);

}  // namespace backplane
