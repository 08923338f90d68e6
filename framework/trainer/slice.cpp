#include "trainer/slice.h"

#include <algorithm>

namespace backplane {

namespace {

/// About the multiplications of one sample: a weight of shape (O, …) meets each of the sample's outputs / O rows.
double multiplications(const LayerNode& node) {
  double all = 0.0;
  for (const Parameter& parameter : node.parameters) {
    const std::int64_t outputs = parameter.shape.empty() ? 1 : parameter.shape[0];
    all += static_cast<double>(parameter.count * std::max<std::int64_t>(1, node.output_size / outputs));
  }
  return all;
}

}  // namespace

std::int64_t default_slice_rows(const Network& network, std::int64_t batch_size) {
  constexpr std::int64_t kSlices = 16;
  constexpr double kTolerated = 1.05;
  double all = 0.0;
  for (const LayerNode& node : network.nodes()) all += multiplications(node);
  std::int64_t rows = 1;
  for (; rows < 16; rows *= 2) {
    double cost = 0.0;
    for (const LayerNode& node : network.nodes()) {
      const double slowdown = static_cast<double>(node.plan.full_speed_samples) / static_cast<double>(rows);
      cost += multiplications(node) * std::max(1.0, slowdown);
    }
    if (cost <= kTolerated * all) break;
  }
  return std::max(rows, (batch_size + kSlices - 1) / kSlices);
}

}  // namespace backplane
