#include "inspect/worked_example.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace backplane {

namespace {

constexpr std::int64_t kMostUnits = 8;
constexpr std::int64_t kMostSamples = 4;

/// A tensor that fits on a page.
struct SmallTensor {
  Shape shape;
  std::vector<double> values;
};
using SmallLayer = std::map<std::string, SmallTensor>;

SmallTensor read_small(const TensorFile& file, const FileTensor& tensor) {
  const Buffer all = file.read(tensor, 0, TensorFile::whole(tensor));
  SmallTensor small{.shape = tensor.shape};
  for (std::int64_t i = 0; i < element_count(tensor.shape); ++i) small.values.push_back(element(all, tensor.dtype, i));
  return small;
}

const FileTensor* find(const FileLayer& layer, const std::string& name) {
  const auto found = std::ranges::find(layer.tensors, name, &FileTensor::name);
  return found == layer.tensors.end() ? nullptr : &*found;
}

const SmallTensor* find(const SmallLayer& layer, const std::string& name) {
  const auto found = layer.find(name);
  return found == layer.end() ? nullptr : &found->second;
}

std::string number(const SmallTensor* tensor, std::int64_t i) {
  return tensor == nullptr ? fmt::format("{:>15}", "")
                           : fmt::format("{:>15.9f}", tensor->values[static_cast<std::size_t>(i)]);
}

/// Units of one sample: what flows forward (z, a) and back (∂C/∂a, δ).
std::string unit_table(const SmallLayer& layer, const std::vector<std::int64_t>& samples) {
  const SmallTensor& z = layer.at("z");
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
std::string weight_table(const SmallLayer& layer, std::int64_t& count) {
  const SmallTensor& W = layer.at("weights/W");
  const SmallTensor* b = find(layer, "weights/b");
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

}  // namespace

bool is_worked_example(const TensorFile& file, const FileLayer& layer) {
  const FileTensor* W = find(layer, "weights/W");
  const FileTensor* z = find(layer, "z");
  if (file.is_trace() || W == nullptr || z == nullptr || W->shape.size() != 2 || z->shape.size() != 2) return false;
  const auto fits = [&](const char* name, const Shape& shape) {
    const FileTensor* tensor = find(layer, name);
    return tensor == nullptr || tensor->shape == shape;
  };
  return W->shape[0] <= kMostUnits && W->shape[1] <= kMostUnits && z->shape[0] <= kMostSamples &&
         z->shape[0] == std::ssize(file.samples()[0]) && z->shape[1] == W->shape[0] && fits("activation", z->shape) &&
         fits("delta", z->shape) && fits("activation_gradient", z->shape) && fits("gradients/W", W->shape) &&
         fits("weights/b", {W->shape[0]}) && fits("gradients/b", {W->shape[0]});
}

std::string worked_example(const TensorFile& file, const FileLayer& layer, std::int64_t& weights) {
  SmallLayer small;
  for (const char* name :
       {"weights/W", "weights/b", "z", "activation", "activation_gradient", "delta", "gradients/W", "gradients/b"})
    if (const FileTensor* tensor = find(layer, name)) small[name] = read_small(file, *tensor);
  return unit_table(small, file.samples()[0]) + "\n" + weight_table(small, weights);
}

std::string worked_samples(const TensorFile& file) {
  const FileTensor &input = file.probe().tensors[0], &target = file.probe().tensors[1], &loss = file.probe().tensors[2];
  const auto rows = std::ssize(file.samples()[0]);
  if (rows == 0 || rows > kMostSamples || input.shape.empty() || input.shape[0] != rows || target.shape.size() != 2 ||
      target.shape[0] != rows || loss.shape != Shape{rows} || element_count(input.shape) > rows * kMostUnits ||
      element_count(target.shape) > rows * kMostUnits)
    return {};
  const SmallTensor inputs = read_small(file, input), targets = read_small(file, target),
                    losses = read_small(file, loss);
  const auto row_of = [rows](const SmallTensor& tensor, std::int64_t n) {
    const auto width = std::ssize(tensor.values) / rows;
    std::string text;
    for (std::int64_t i = 0; i < width; ++i)
      text += fmt::format(" {:g}", tensor.values[static_cast<std::size_t>(n * width + i)]);
    return text;
  };
  std::string text;
  for (std::int64_t n = 0; n < rows; ++n)
    text +=
        fmt::format("  sample {}: input{}   target{}   loss {:.9f}\n", file.samples()[0][static_cast<std::size_t>(n)],
                    row_of(inputs, n), row_of(targets, n), losses.values[static_cast<std::size_t>(n)]);
  return text;
}

}  // namespace backplane
