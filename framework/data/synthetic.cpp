#include "data/synthetic.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "base/error.h"
#include "random/philox.h"

namespace backplane {

namespace {

/// Inputs, targets and length of one sample draw from streams of their own.
Stream input_stream(std::uint64_t seed, std::int64_t sample) {
  return Stream(seed, Purpose::synthesize, static_cast<std::uint64_t>(sample), 0);
}
Stream target_stream(std::uint64_t seed, std::int64_t sample) {
  return Stream(seed, Purpose::synthesize, static_cast<std::uint64_t>(sample), 1);
}

Stream length_stream(std::uint64_t seed, std::int64_t sample) {
  return Stream(seed, Purpose::synthesize, static_cast<std::uint64_t>(sample), 2);
}

/// Fills the samples [first, first + count): `make` writes inputs of one sample and returns its label.
using MakeSample = std::function<std::int64_t(std::int64_t sample, double* input)>;

Samples make_labelled(std::int64_t first, std::int64_t count, std::int64_t input_size, const MakeSample& make) {
  std::vector<double> inputs(static_cast<std::size_t>(count * input_size));
  std::vector<std::int64_t> labels(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i)
    labels[static_cast<std::size_t>(i)] = make(first + i, inputs.data() + i * input_size);
  return {std::move(inputs), std::move(labels), count};
}

DataSet make_labelled(const SyntheticSize& size, Shape input_shape, std::int64_t classes, const MakeSample& make) {
  DataSet data;
  data.input_shape = std::move(input_shape);
  data.classes = classes;
  data.train = make_labelled(0, size.samples, data.input_size(), make);
  if (size.test > 0) data.test = make_labelled(size.samples, size.test, data.input_size(), make);
  return data;
}

void fill_normal(const Stream& stream, std::int64_t count, double* out) {
  for (std::int64_t j = 0; j < count; ++j) out[j] = stream.normal(static_cast<std::uint64_t>(j));
}

/// Replaces the labels of `samples`, which begin with sample `first`, by normal target vectors.
void set_normal_targets(Samples& samples, std::int64_t first, std::int64_t targets, std::uint64_t seed) {
  std::vector<double> values(static_cast<std::size_t>(samples.count * targets));
  for (std::int64_t i = 0; i < samples.count; ++i)
    fill_normal(target_stream(seed, first + i), targets, values.data() + i * targets);
  samples.targets = std::move(values);
}

/// Gives the samples of `samples`, which begin with sample `first`, random lengths, and clears what follows them.
void cut_to_lengths(Samples& samples, std::int64_t first, const Shape& shape, std::uint64_t seed) {
  const std::int64_t size = element_count(shape);
  auto& inputs = std::get<std::vector<double>>(samples.inputs);
  for (std::int64_t i = 0; i < samples.count; ++i) {
    const auto steps = static_cast<std::uint64_t>(shape[0]);
    const auto length = static_cast<std::int64_t>(1 + length_stream(seed, first + i).below(0, steps));
    samples.lengths.push_back(length);
    std::fill(inputs.begin() + i * size + length * (size / shape[0]), inputs.begin() + (i + 1) * size, 0.0);
  }
}

}  // namespace

DataSet make_spirals(const SyntheticSize& size, std::int64_t classes, double turns, double noise, std::uint64_t seed) {
  return make_labelled(size, {2}, classes, [=](std::int64_t sample, double* point) {
    const Stream stream = input_stream(seed, sample);
    const std::int64_t label = sample % classes;
    const double radius = stream.uniform(0);
    const double start = static_cast<double>(label) / static_cast<double>(classes);
    const double angle = 2.0 * std::numbers::pi * (start + turns * radius);
    point[0] = radius * std::cos(angle) + noise * stream.normal(1);
    point[1] = radius * std::sin(angle) + noise * stream.normal(2);
    return label;
  });
}

DataSet make_xor(const SyntheticSize& size, double noise, std::uint64_t seed) {
  return make_labelled(size, {2}, 2, [=](std::int64_t sample, double* point) {
    const Stream stream = input_stream(seed, sample);
    const std::int64_t x = sample & 1;
    const std::int64_t y = sample >> 1 & 1;
    point[0] = static_cast<double>(x) + noise * stream.normal(0);
    point[1] = static_cast<double>(y) + noise * stream.normal(1);
    return x ^ y;
  });
}

DataSet make_random(const SyntheticSize& size, const Shape& input_shape, std::int64_t classes, std::int64_t targets,
                    std::uint64_t seed, bool lengths) {
  BP_ASSERT((classes > 0) != (targets > 0));
  const std::int64_t input_size = element_count(input_shape);
  DataSet data = make_labelled(size, input_shape, classes, [=](std::int64_t sample, double* input) -> std::int64_t {
    fill_normal(input_stream(seed, sample), input_size, input);
    if (classes == 0) return 0;
    return static_cast<std::int64_t>(target_stream(seed, sample).below(0, static_cast<std::uint64_t>(classes)));
  });
  if (lengths) {
    cut_to_lengths(data.train, 0, input_shape, seed);
    if (data.test) cut_to_lengths(*data.test, size.samples, input_shape, seed);
  }
  if (targets == 0) return data;
  data.target_size = targets;
  data.target_shape = {targets};
  set_normal_targets(data.train, 0, targets, seed);
  if (data.test) set_normal_targets(*data.test, size.samples, targets, seed);
  return data;
}

}  // namespace backplane
