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

/// Rows that a slice should have where most multiplications are by weights that outgrow a core's second-level cache and
/// meet each sample once: every slice then reads them from farther away. A product of 16 rows takes about twice the
/// time that it would take without (1 + 16/rows), and four slices at least stay for the cores.
std::int64_t rows_for_large_weights(const Network& network, std::int64_t batch_size) {
  constexpr std::int64_t kLarge = std::int64_t{1} << 19;  // elements: 2 MiB of float32
  constexpr std::int64_t kRows = 64, kSlices = 4, kWantsRows = 16;
  double all = 0.0, large = 0.0;
  for (const LayerNode& node : network.nodes()) {
    all += multiplications(node);
    if (node.plan.full_speed_samples < kWantsRows) continue;  // its kernels have enough of a few samples
    for (const Parameter& parameter : node.parameters)
      if (parameter.count > kLarge && node.output_size <= parameter.shape[0])
        large += static_cast<double>(parameter.count);
  }
  return large > 0.5 * all ? std::min(kRows, (batch_size + kSlices - 1) / kSlices) : 1;
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
  return std::max({rows, (batch_size + kSlices - 1) / kSlices, rows_for_large_weights(network, batch_size)});
}

}  // namespace backplane
