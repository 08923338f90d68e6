#include "data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/counted.h"
#include "random/permutation.h"

namespace backplane {

namespace {

void keep_first(DataSet& data, std::int64_t limit) {
  if (limit >= data.train.count) return;
  std::vector<std::int64_t> first(static_cast<std::size_t>(limit));
  std::iota(first.begin(), first.end(), 0);
  data.findings.push_back({"left_out_by_limit", data.train.count - limit});
  data.train = data.train.subset(first, data.input_size(), data.target_size);
}

std::int64_t count_of(const Part& part, std::int64_t samples, const char* noun) {
  if (part.fraction == 0) return part.count;
  const std::int64_t count = std::llround(part.fraction * static_cast<double>(samples));
  if (count == 0 || count == samples)
    part.origin.fail(fmt::format("{} of {} leaves none for the {} split", part.fraction, counted(samples, "sample"),
                                 count == 0 ? noun : "training"));
  return count;
}

/// Takes `part` out of the training split. `draw` numbers the parts: each is drawn by itself.
void split_off(DataSet& data, const Part& part, const char* noun, std::uint64_t seed, std::uint64_t draw,
               std::optional<Samples>& to) {
  const std::int64_t samples = data.train.count;
  const std::int64_t count = count_of(part, samples, noun);
  if (count == 0) return;
  if (count >= samples)
    part.origin.fail(fmt::format("a {} split of {} samples leaves none of the {} for training", noun, count, samples));
  std::vector<std::int64_t> order = permutation(samples, Stream(seed, Purpose::split, draw));
  const bool are_neighbours = data.steps > 1 && !data.vocabulary.empty();  // windows of a text
  if (are_neighbours) {                                                    // the last ones, so that the others stay so
    std::iota(order.begin(), order.end(), 0);
    std::rotate(order.begin(), order.end() - count, order.end());
  }
  const auto cut = order.begin() + count;
  std::sort(order.begin(), cut);
  std::sort(cut, order.end());
  to = data.train.subset({order.begin(), cut}, data.input_size(), data.target_size);
  data.train = data.train.subset({cut, order.end()}, data.input_size(), data.target_size);
}

/// An image [H, W, C] has one range, its pixels are alike; a column of a table, or of the steps of a sequence, has its
/// own.
std::size_t count_ranges(const DataSet& data) {
  return data.input_shape.size() > 2 ? 1 : static_cast<std::size_t>(data.input_shape.back());
}

template <class T>
void set_unit_scale(DataSet& data, const std::vector<T>& values) {
  const std::size_t ranges = count_ranges(data);
  data.shift.assign(ranges, 0.0);
  data.scale.assign(ranges, 1.0);
  std::vector<T> low(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(ranges)), high = low;
  for (std::size_t row = 0; row < values.size(); row += ranges)
    for (std::size_t f = 0; f < ranges; ++f) {
      low[f] = std::min(low[f], values[row + f]);
      high[f] = std::max(high[f], values[row + f]);
    }
  for (std::size_t f = 0; f < ranges; ++f) {
    const double range = static_cast<double>(high[f]) - static_cast<double>(low[f]);
    data.shift[f] = static_cast<double>(low[f]);
    data.scale[f] = range > 0 ? 1.0 / range : 1.0;
  }
}

void set_unit_scale(DataSet& data, const std::vector<std::uint8_t>&) {
  data.scale = {1.0 / 255.0};
}

/// Per feature, the mean of term(value, feature) over all samples.
template <class T, class Term>
std::vector<double> feature_means(const std::vector<T>& values, std::size_t features, Term&& term) {
  std::vector<double> sums(features, 0.0);
  for (std::size_t row = 0; row < values.size(); row += features)
    for (std::size_t f = 0; f < features; ++f) sums[f] += term(static_cast<double>(values[row + f]), f);
  for (double& sum : sums) sum /= static_cast<double>(values.size() / features);
  return sums;
}

template <class T>
void set_standard_scale(DataSet& data, const std::vector<T>& values) {
  const auto features = static_cast<std::size_t>(data.input_shape.back());
  // Taken from the first row on, the mean of a constant feature is exact, and its deviation exactly zero.
  const std::vector<double> first(values.begin(), values.begin() + data.input_shape.back());
  data.shift = feature_means(values, features, [&](double value, std::size_t f) { return value - first[f]; });
  std::ranges::transform(data.shift, first, data.shift.begin(), std::plus<>());
  data.scale = feature_means(
      values, features, [&](double value, std::size_t f) { return (value - data.shift[f]) * (value - data.shift[f]); });
  std::vector<double> largest(features, 0.0);
  for (std::size_t i = 0; i < values.size(); ++i)
    largest[i % features] = std::max(largest[i % features], std::abs(values[i] - data.shift[i % features]));
  for (std::size_t f = 0; f < features; ++f) {
    double& scale = data.scale[f];
    if (largest[f] == 0) {
      scale = 1.0;
    } else if (scale > 1e-290 && scale < 1e290) {
      scale = 1.0 / std::sqrt(scale);
    } else {  // numerics: the squares leave the range of their type; those of shares of the largest do not
      double sum = 0.0;
      for (std::size_t i = f; i < values.size(); i += features) {
        const double share = (values[i] - data.shift[f]) / largest[f];
        sum += share * share;
      }
      scale = 1.0 / std::sqrt(sum / static_cast<double>(values.size() / features)) / largest[f];
    }
  }
}

/// The inputs of the training split without the rows that follow the valid steps.
template <class T>
std::vector<T> without_padding(const DataSet& data, const std::vector<T>& values) {
  const std::int64_t size = data.input_size();
  const std::int64_t width = size / data.input_shape[0];
  std::vector<T> valid;
  for (std::int64_t i = 0; i < data.train.count; ++i) {
    const auto first = values.begin() + i * size;
    valid.insert(valid.end(), first, first + data.train.lengths[static_cast<std::size_t>(i)] * width);
  }
  return valid;
}

[[noreturn]] void fail_to_scale(const DataSet& data, std::size_t feature) {
  const std::string named = feature < data.input_names.size() ? fmt::format(" '{}'", data.input_names[feature]) : "";
  data.train.inputs_origin.fail(
      fmt::format("the inputs{} are too large, or too close to each other, to be scaled: their sum, or 1 / their "
                  "range, is not finite",
                  data.shift.size() == 1 ? named : fmt::format(" of column {}{}, counted from 0,", feature, named)),
      "give them in another unit, or leave `scale` out");
}

void set_scale(DataSet& data, Scaling scaling) {
  if (scaling == Scaling::none) return;
  const auto set = [&](const auto& values) {
    if (scaling == Scaling::unit) set_unit_scale(data, values);
    if (scaling == Scaling::standard) set_standard_scale(data, values);
  };
  const bool has_padding = !data.train.lengths.empty() && data.input_shape.size() > 1;
  std::visit([&](const auto& all) { has_padding ? set(without_padding(data, all)) : set(all); }, data.train.inputs);
  for (std::size_t f = 0; f < data.shift.size(); ++f)
    if (!std::isfinite(data.shift[f]) || !std::isfinite(data.scale[f]) || data.scale[f] == 0) fail_to_scale(data, f);
}

void require_one_per_feature(const std::vector<double>& values, const DataSet& data, const Origin& origin) {
  const auto features = static_cast<std::size_t>(data.input_shape.back());
  if (values.size() == 1 || values.size() == features) return;
  origin.fail(fmt::format("{} values, expected 1 or {}: samples have shape {}", values.size(), features,
                          to_string(data.input_shape)));
}

void set_normalization(DataSet& data, const Normalization& normalization) {
  require_one_per_feature(normalization.mean, data, normalization.mean_origin);
  require_one_per_feature(normalization.deviation, data, normalization.deviation_origin);
  const double unit = std::holds_alternative<std::vector<std::uint8_t>>(data.train.inputs) ? 255.0 : 1.0;
  const std::size_t features = std::max(normalization.mean.size(), normalization.deviation.size());
  const auto each = [&](const std::vector<double>& values, std::size_t f) { return values[values.size() > 1 ? f : 0]; };
  data.shift.resize(features);
  data.scale.resize(features);
  for (std::size_t f = 0; f < features; ++f) {
    data.shift[f] = unit * each(normalization.mean, f);
    data.scale[f] = 1.0 / (unit * each(normalization.deviation, f));
    if (!std::isfinite(data.scale[f]))
      normalization.deviation_origin.fail(
          fmt::format("{} is too small to divide by", each(normalization.deviation, f)));
  }
}

void set_augmentation(DataSet& data, const Preparation& preparation, std::uint64_t seed) {
  const Shape& shape = data.input_shape;
  const std::int64_t shift = preparation.augmentation->shift;
  if (shape.size() != 3 || !data.train.lengths.empty())
    preparation.augmentation_origin.fail(
        fmt::format("only images of shape [H, W, C] can be augmented; these samples have shape {}{}", to_string(shape),
                    data.train.lengths.empty() ? "" : " and lengths"));
  const std::int64_t most = std::min(shape[0], shape[1]) - 1;
  if (shift > most)
    preparation.augmentation_origin.fail(
        fmt::format("a shift by {} pixels can move images of shape {} out of sight", shift, to_string(shape)),
        fmt::format("at most {} keeps some of them", most));
  data.augmentation = preparation.augmentation;
  data.augmentation->seed = seed;
}

/// What is taken beside the samples as they were read: the order of batches, and, where parts are set apart, copies of
/// them with their numbers.
std::int64_t memory_of(const DataSet& data, const Preparation& preparation) {
  constexpr std::int64_t kNumber = sizeof(std::int64_t);
  const auto bytes_of = [](const auto& values) { return static_cast<std::int64_t>(values.size() * sizeof(values[0])); };
  const auto is_wanted = [](const Part& part) { return part.count > 0 || part.fraction > 0; };
  const Samples& train = data.train;
  std::int64_t bytes = train.count * kNumber;
  if (preparation.limit || is_wanted(preparation.validation) || (!data.test && is_wanted(preparation.test)))
    bytes += std::visit(bytes_of, train.inputs) + std::visit(bytes_of, train.targets) + 2 * train.count * kNumber;
  return bytes;
}

}  // namespace

void prepare(DataSet& data, const Preparation& preparation, std::uint64_t seed) {
  require_memory(data.train.inputs_origin, memory_of(data, preparation));
  if (preparation.limit) keep_first(data, *preparation.limit);
  if (!data.test) split_off(data, preparation.test, "test", seed, 1, data.test);
  split_off(data, preparation.validation, "validation", seed, 0, data.validation);
  set_scale(data, preparation.scaling);
  if (preparation.normalization) set_normalization(data, *preparation.normalization);
  if (preparation.augmentation) set_augmentation(data, preparation, seed);
}

}  // namespace backplane
