#include "trainer/tile.h"

namespace backplane {

std::int64_t least_units_per_tile(const Network& network) {
  constexpr std::int64_t kFast = 64, kSmall = 32, kEnough = 24;
  std::int64_t tiles = 0;
  for (const LayerNode& node : network.nodes())
    if (!node.parameters.empty())
      for_each_part(node.plan.gradient_units, kTilesPerLayer, kFast, [&](std::int64_t, std::int64_t) { ++tiles; });
  return tiles >= kEnough ? kFast : kSmall;
}

std::vector<Tile> cut_into_tiles(const Network& network) {
  std::vector<Tile> tiles;
  const std::int64_t least = least_units_per_tile(network);
  constexpr std::int64_t kElements = 4096;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const LayerNode& node = network.nodes()[i];
    std::int64_t number = 0;
    if (node.is_batch_wide() && !node.parameters.empty())
      for_each_part(node.plan.gradient_units, kTilesPerLayer, least, [&](std::int64_t begin, std::int64_t end) {
        Tile tile{
            .index = tiles.size(), .node = i, .number = number++, .unit_begin = begin, .unit_end = end, .ranges = {}};
        for (std::size_t p = 0; p < node.parameters.size(); ++p) {
          const std::int64_t unit = node.parameters[p].count / node.plan.gradient_units;
          tile.ranges.push_back({p, begin * unit, end * unit});
        }
        tiles.push_back(std::move(tile));
      });
    else
      for (std::size_t p = 0; p < node.parameters.size(); ++p)
        for_each_part(node.parameters[p].count, kTilesPerLayer, kElements, [&](std::int64_t begin, std::int64_t end) {
          tiles.push_back({.index = tiles.size(), .node = i, .number = number++, .ranges = {{p, begin, end}}});
        });
  }
  return tiles;
}

}  // namespace backplane
