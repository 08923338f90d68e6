#include "trainer/scratch.h"

#include <algorithm>
#include <map>

#include "tensor/buffer.h"

namespace backplane {

namespace {

/// Memory that is taken and given back; the lowest place that is large enough is taken.
class Places {
 public:
  std::uint64_t take(std::uint64_t bytes) {
    std::uint64_t place = 0;
    for (const auto& [begin, end] : taken_) {
      if (place + bytes <= begin) break;
      place = end;
    }
    taken_[place] = place + bytes;
    highest_ = std::max(highest_, place + bytes);
    return place;
  }
  void give_back(std::uint64_t place) { taken_.erase(place); }
  std::uint64_t highest() const { return highest_; }

 private:
  std::map<std::uint64_t, std::uint64_t> taken_;
  std::uint64_t highest_ = 0;
};

/// In which stage a layer's backward runs.
std::size_t backward_stage(const Network& network, const std::vector<Stage>& stages, std::size_t layer) {
  const auto own = std::find_if(stages.begin(), stages.end(), [&](const Stage& s) { return layer < s.end; });
  const auto index = static_cast<std::size_t>(own - stages.begin());
  return network.nodes()[layer].plan.has_batch_sums() ? index - 1 : index;
}

bool is_z_passing(const LayerNode& node) {
  return node.activation && (node.activation->needs() & BP_NEEDS_Z) == 0 && (node.plan.needs & BP_NEEDS_OUTPUT) == 0 &&
         node.plan.state.empty();
}

/// What does not depend on who writes it.
bool is_delta_passing(const LayerNode& node) {
  return !(node.is_batch_wide() && !node.parameters.empty()) && !node.plan.has_batch_sums() && node.plan.state.empty();
}

}  // namespace

ScratchPlan plan_scratch(const Network& network, const std::vector<Stage>& stages, std::int64_t slice_rows,
                         std::size_t element) {
  const auto& nodes = network.nodes();
  ScratchPlan plan{.z = std::vector<std::optional<std::uint64_t>>(nodes.size()),
                   .delta = std::vector<std::optional<std::uint64_t>>(nodes.size())};
  const auto bytes_of = [&](std::size_t i) {
    const auto bytes = static_cast<std::uint64_t>(slice_rows * nodes[i].output_size) * element;
    return (bytes + Buffer::kAlignment - 1) / Buffer::kAlignment * Buffer::kAlignment;
  };
  std::vector<bool> is_passing(nodes.size());
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) is_passing[i] = is_delta_passing(nodes[i]);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const int producer : nodes[i].inputs)
      if (producer != LayerNode::kData)
        if (const auto p = static_cast<std::size_t>(producer);
            backward_stage(network, stages, i) != backward_stage(network, stages, p))
          is_passing[p] = false;

  // δ live from the first layer that writes it, going backward, to the layer's own backward.
  Places places;
  for (std::size_t i = nodes.size(); i-- > 0;) {
    for (const int producer : nodes[i].inputs)
      if (producer != LayerNode::kData)
        if (const auto p = static_cast<std::size_t>(producer); is_passing[p] && !plan.delta[p])
          plan.delta[p] = places.take(bytes_of(p));
    if (plan.delta[i]) places.give_back(*plan.delta[i]);
  }
  plan.bytes = places.highest();
  // z lives no longer than its layer's forward, when no δ does.
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i)
    if (is_z_passing(nodes[i])) {
      plan.z[i] = 0;
      plan.bytes = std::max(plan.bytes, bytes_of(i));
    }
  return plan;
}

}  // namespace backplane
