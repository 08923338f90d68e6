#include "trainer/optimizer.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "optimizers/table.h"

namespace backplane {

namespace {

constexpr std::size_t kMostSlots = 4;

}  // namespace

Optimizer::Optimizer(const config::Node& choice, Network& network, const std::vector<Tile>& tiles)
    : network_(network),
      tiles_(tiles),
      rule_(make_update_rule(choice)),
      rate_(choice.choice().at("lr").as_number()),
      slot_names_(rule_->slots()) {
  BP_ASSERT(slot_names_.size() <= kMostSlots);
  const std::vector<double> zeros(rule_->sums(), 0.0);
  for (const LayerNode& node : network.nodes()) {
    auto& layer = slots_.emplace_back();
    for (const Parameter& parameter : node.parameters) {
      auto& slots = layer.emplace_back();
      for (std::size_t s = 0; s < slot_names_.size(); ++s) slots.emplace_back(parameter.value.bytes());
    }
    sums_.emplace_back(node.parameters.size(), zeros);
  }
  for (const Tile& tile : tiles) parts_.emplace_back(tile.ranges.size(), zeros);
}

template <class Body>
void Optimizer::with_update(const Tile& tile, std::size_t range, const void* gradient, const Step& step,
                            std::vector<double>& sums, const Body& body) {
  const Tile::Range& cut = tile.ranges[range];
  const std::size_t index = cut.parameter;
  const std::int64_t begin = cut.begin, end = cut.end;
  Parameter& parameter = network_.nodes()[tile.node].parameters[index];
  if (!parameter.trainable) return;
  dispatch(network_.dtype(), [&]<class T>(T) {
    std::array<T*, kMostSlots> slots{};
    for (std::size_t s = 0; s < slot_names_.size(); ++s)
      slots[s] = slots_[tile.node][index][s].template as<T>() + begin;
    body(Update<T>{
        .values = parameter.value.as<T>() + begin,
        .count = end - begin,
        .gradient = {.computed = static_cast<const T*>(gradient),
                     .scale = step.gradient_scale,
                     .clip = step.clip_value > 0.0 ? step.clip_value : std::numeric_limits<double>::infinity(),
                     .l1 = parameter.l1,
                     .l2 = parameter.l2},
        .slots = {slots.data(), slot_names_.size()},
        .step = step.number,
        .rate = step.rate,
        .is_weight = parameter.role == "weight",
        .sums = sums});
  });
}

void Optimizer::collect(const Tile& tile, std::size_t range, const void* gradient, const Step& step) {
  std::vector<double>& part = parts_[tile.index][range];
  std::ranges::fill(part, 0.0);
  with_update(tile, range, gradient, step, part, [&](const auto& update) { rule_->collect(update); });
}

void Optimizer::add_up() {
  for (auto& layer : sums_)
    for (std::vector<double>& sums : layer) std::ranges::fill(sums, 0.0);
  for (const Tile& tile : tiles_)
    for (std::size_t range = 0; range < tile.ranges.size(); ++range) {
      std::vector<double>& sums = sums_[tile.node][tile.ranges[range].parameter];
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += parts_[tile.index][range][i];
    }
}

void Optimizer::update(const Tile& tile, std::size_t range, const void* gradient, const Step& step) {
  with_update(tile, range, gradient, step, sums_[tile.node][tile.ranges[range].parameter],
              [&](const auto& update) { rule_->update(update); });
}

}  // namespace backplane
