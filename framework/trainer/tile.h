#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "network/network.h"

namespace backplane {

/// A part of the parameters of one layer, computed and updated by one task. The cut depends on the network alone.
struct Tile {
  struct Range {
    std::size_t parameter;    ///< index in LayerNode::parameters
    std::int64_t begin, end;  ///< elements
  };
  std::size_t index = 0;  ///< among all tiles
  std::size_t node = 0;
  std::int64_t number = 0;                    ///< in its layer
  std::int64_t unit_begin = 0, unit_end = 0;  ///< of a layer with batch-wide gradients
  std::vector<Range> ranges;
};

constexpr std::int64_t kTilesPerLayer = 16;

/// How many units a tile of a layer with batch-wide gradients has at least: 64, from which on products are at full
/// speed, or 32 where the network would have too few tiles for 16 workers.
std::int64_t least_units_per_tile(const Network& network);

/// The tiles of all parameters: at most 16 a layer with batch-wide gradients, and at most 16 of each other parameter.
std::vector<Tile> cut_into_tiles(const Network& network);

/// Calls body(begin, end) for [0, count) cut into at most `parts` ranges of a multiple of `grain`.
template <class Body>
void for_each_part(std::int64_t count, std::int64_t parts, std::int64_t grain, const Body& body) {
  const std::int64_t size = std::max(grain, ((count + parts - 1) / parts + grain - 1) / grain * grain);
  for (std::int64_t begin = 0; begin < count; begin += size) body(begin, std::min(begin + size, count));
}

}  // namespace backplane
