#include "cli/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace backplane::cli {

namespace {

constexpr std::int64_t kMostUnits = 8;
constexpr std::int64_t kMostSamples = 4;

double element(const StoredTensor& tensor, std::int64_t i) {
  return tensor.dtype == DType::float32 ? static_cast<double>(tensor.data.as<float>()[i]) : tensor.data.as<double>()[i];
}

const StoredTensor* find(const StoredLayer& layer, const std::string& path) {
  const auto found = layer.tensors.find(path);
  return found == layer.tensors.end() ? nullptr : &found->second;
}

/// Whether numbers fit on a page, and all tensors have the shapes that the tables count on.
bool is_small(const StoredLayer& layer) {
  const StoredTensor* W = find(layer, "weights/W");
  const StoredTensor* z = find(layer, "z");
  if (W == nullptr || z == nullptr || W->shape.size() != 2 || z->shape.size() != 2) return false;
  const auto fits = [&](const char* path, const Shape& shape) {
    const StoredTensor* tensor = find(layer, path);
    return tensor == nullptr || tensor->shape == shape;
  };
  return W->shape[0] <= kMostUnits && W->shape[1] <= kMostUnits && z->shape[0] <= kMostSamples &&
         z->shape[1] == W->shape[0] && fits("activation", z->shape) && fits("delta", z->shape) &&
         fits("activation_gradient", z->shape) && fits("gradients/W", W->shape) && fits("weights/b", {W->shape[0]}) &&
         fits("gradients/b", {W->shape[0]});
}

std::string number(const StoredTensor* tensor, std::int64_t i) {
  return tensor == nullptr ? fmt::format("{:>15}", "") : fmt::format("{:>15.9f}", element(*tensor, i));
}

/// Units of one sample: what flows forward (z, a) and back (∂C/∂a, δ).
std::string unit_table(const StoredLayer& layer, const std::vector<std::int64_t>& samples) {
  const StoredTensor& z = layer.tensors.at("z");
  const std::int64_t units = z.shape[1];
  std::string text =
      fmt::format("  {:>8} {:>6} {:>15} {:>15} {:>15} {:>15}\n", "sample", "unit", "z", "a", "dC/da", "delta = dC/dz");
  for (std::int64_t n = 0; n < z.shape[0]; ++n)
    for (std::int64_t j = 0; j < units; ++j) {
      const std::int64_t i = n * units + j;
      text += fmt::format("  {:>8} {:>6} {} {} {} {}\n", samples[static_cast<std::size_t>(n)], j + 1, number(&z, i),
                          number(find(layer, "activation"), i), number(find(layer, "activation_gradient"), i),
                          number(find(layer, "delta"), i));
    }
  return text;
}

/// Weights with their gradients, counted as text books do: w1, w2, … row by row through all layers.
std::string weight_table(const StoredLayer& layer, std::int64_t& count) {
  const StoredTensor& W = layer.tensors.at("weights/W");
  const StoredTensor* b = find(layer, "weights/b");
  std::string text = fmt::format("  {:>8} {:>20} {:>15} {:>15}\n", "", "", "value", "dC/dvalue");
  for (std::int64_t o = 0; o < W.shape[0]; ++o) {
    for (std::int64_t i = 0; i < W.shape[1]; ++i)
      text += fmt::format("  {:>8} {:>20} {} {}\n", fmt::format("w{}", ++count), fmt::format("W[{},{}]", o + 1, i + 1),
                          number(&W, o * W.shape[1] + i), number(find(layer, "gradients/W"), o * W.shape[1] + i));
    if (b != nullptr)
      text += fmt::format("  {:>8} {:>20} {} {}\n", "", fmt::format("b[{}]", o + 1), number(b, o),
                          number(find(layer, "gradients/b"), o));
  }
  return text;
}

std::string statistics_table(const StoredLayer& layer) {
  std::string text = fmt::format("  {:<26} {:<18} {:>12} {:>12} {:>12} {:>12} {:>8}\n", "tensor", "shape", "min", "max",
                                 "mean", "norm", "zeros");
  for (const auto& [path, tensor] : layer.tensors) {
    const std::int64_t count = element_count(tensor.shape);
    double low = INFINITY, high = -INFINITY, sum = 0.0, squares = 0.0;
    std::int64_t zeros = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const double value = element(tensor, i);
      low = std::min(low, value), high = std::max(high, value), sum += value, squares += value * value,
      zeros += value == 0.0;
    }
    text += fmt::format("  {:<26} {:<18} {:>12.4g} {:>12.4g} {:>12.4g} {:>12.4g} {:>7.1f}%\n", path,
                        to_string(tensor.shape), low, high, sum / static_cast<double>(count), std::sqrt(squares),
                        100.0 * static_cast<double>(zeros) / static_cast<double>(count));
  }
  return text;
}

std::string probe_table(const Snapshot& snapshot) {
  const std::int64_t inputs = snapshot.input.shape.empty() ? 0
                                                           : element_count(snapshot.input.shape) /
                                                                 std::max<std::int64_t>(1, snapshot.input.shape[0]);
  if (snapshot.input.shape.empty() || snapshot.input.shape[0] > kMostSamples || inputs > kMostUnits ||
      snapshot.target.shape.size() != 2)
    return {};
  std::string text;
  const std::int64_t outputs = snapshot.target.shape[1];
  for (std::int64_t n = 0; n < snapshot.input.shape[0]; ++n) {
    text += fmt::format("  sample {}: input", snapshot.sample_indices[static_cast<std::size_t>(n)]);
    for (std::int64_t i = 0; i < inputs; ++i) text += fmt::format(" {:g}", element(snapshot.input, n * inputs + i));
    text += "   target";
    for (std::int64_t i = 0; i < outputs; ++i) text += fmt::format(" {:g}", element(snapshot.target, n * outputs + i));
    text += fmt::format("   loss {:.9f}\n", snapshot.losses[static_cast<std::size_t>(n)]);
  }
  return text;
}

}  // namespace

std::string checkpoint_tables(const Snapshot& snapshot) {
  std::string text = fmt::format(
      "checkpoint after {} steps: parameters as they are then; z, a, delta and gradients of the batch of step {}, made "
      "by them\n",
      snapshot.step, snapshot.step + 1);
  text += fmt::format("weights  {}\nC        {:.9f}   (mean loss of that batch of {} samples; {} of them are stored)\n",
                      snapshot.weights_digest, snapshot.numbers.at("batch_loss"), snapshot.integers.at("batch_size"),
                      snapshot.sample_indices.size());
  text += probe_table(snapshot);
  std::int64_t weights = 0;
  for (const StoredLayer& layer : snapshot.layers) {
    text += fmt::format("\nlayer {}   {}, activation {}   (plug-in {} {})\n", layer.name, layer.type, layer.activation,
                        layer.plugin, layer.plugin_version);
    if (is_small(layer))
      text += unit_table(layer, snapshot.sample_indices) + "\n" + weight_table(layer, weights);
    else
      text += statistics_table(layer);
  }
  return text;
}

}  // namespace backplane::cli
