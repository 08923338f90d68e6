#pragma once

#include <functional>
#include <memory>

#include "kernels/convolution.h"
#include "layer_run.h"

namespace backplane {

/// What bounds a layer's speed: the least work of the same sizes, in the same slices and tiles.
struct Limit {
  const char* name;
  std::function<std::unique_ptr<Work>(const LayerRun&)> make;
};

/// The products of a dense layer, every operand contiguous.
Limit dense_products();
/// Those of rnn (G = 1), gru (3) and lstm (4).
Limit recurrent_products();
Limit attention_products(std::int64_t heads);
/// The bare primitives, on weights in the order that they like best. Transposed: forward is ∂C/∂a of `shape`, and so
/// on.
Limit bare_convolution(const kernels::Convolution& shape, bool is_transposed = false);
/// memcpy of as many bytes as the calls must at least read and write: inputs, output, δ, what they save.
/// `gathered`: rows of weights, as large as z, are read by forward; and read and written by weights().
Limit copy(bool gathered = false);

}  // namespace backplane
