#pragma once

#include <string>
#include <vector>

#include "tensor/shape.h"

namespace backplane {

/// How the axes of tensors are labelled in checkpoints and traces.

/// [rows] in front of the shape of a sample.
Shape with_batch(std::int64_t rows, const Shape& sample);

/// "sample", then what the axes of a sample mean: unit; time, feature; height, width, channel.
std::vector<std::string> sample_axes(const Shape& sample);

/// "sample", then those of a tensor that a plug-in declared: unit; time, feature; numbered ones beyond, whose meaning
/// only the plug-in knows.
std::vector<std::string> saved_axes(const Shape& sample);

/// "out" and "in" of weights, then "tap" or "height" and "width" of kernels; "out" of biases.
std::vector<std::string> parameter_axes(const Shape& shape);

}  // namespace backplane
