#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "network/network.h"
#include "trainer/stage.h"

namespace backplane {

/// Where the tensors of a slice lie that nobody needs when it has passed: in the worker's scratch, which stays in its
/// cache. Offsets in bytes, by layer; empty for tensors that are kept for the whole batch.
///
///   z   where the activation behind it is all that reads it, and needs it forward only
///   δ   where the layer's gradients belong to the slices, and whoever writes it does so in the same stage
///
/// The last layer's, which the loss looks at, are kept.
struct ScratchPlan {
  std::vector<std::optional<std::uint64_t>> z, delta;
  std::uint64_t bytes = 0;  ///< of each worker
};

/// `element`: bytes of one.
ScratchPlan plan_scratch(const Network& network, const std::vector<Stage>& stages, std::int64_t slice_rows,
                         std::size_t element);

}  // namespace backplane
