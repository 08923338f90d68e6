#pragma once

#include <cstddef>
#include <vector>

#include "network/network.h"

namespace backplane {

/// Layers [begin, end) that a slice passes without waiting for other slices. Backward, a stage begins with the layer
/// `end`, whose sums over the batch are complete by then, and ends with the part of its own first layer in such sums.
struct Stage {
  std::size_t begin, end;
};

/// The stages of training: a new one begins with each layer that sums over the batch. Without any, there is one.
std::vector<Stage> cut_into_stages(const Network& network);

}  // namespace backplane
