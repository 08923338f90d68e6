#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "trainer/loss.h"

// What target vectors a loss takes.

namespace backplane {

namespace {

using Split = std::pair<const char*, const Samples*>;

/// The splits that have target vectors.
std::vector<Split> splits_with_vectors(const DataSet& data) {
  const std::array<Split, 3> all{{{"training", &data.train},
                                  {"validation", data.validation ? &*data.validation : nullptr},
                                  {"test", data.test ? &*data.test : nullptr}}};
  std::vector<Split> found;
  for (const Split& split : all)
    if (split.second != nullptr && !split.second->has_labels()) found.push_back(split);
  return found;
}

const std::int64_t* length_of(const Samples& samples, std::int64_t sample) {
  return samples.lengths.empty() ? nullptr : &samples.lengths[static_cast<std::size_t>(sample)];
}

/// Of one number of a target vector.
Origin origin_of(const Samples& samples, std::int64_t sample, std::int64_t element) {
  const std::int64_t width = std::ssize(std::get<std::vector<double>>(samples.targets)) / samples.count;
  return samples.targets_origin.at(samples.source_index(sample) * width + element);
}

}  // namespace

void Loss::require_domain(const DataSet& data, DType dtype) const {
  const double finite =
      dtype == DType::float32 ? double{std::numeric_limits<float>::max()} : std::numeric_limits<double>::max();
  const TargetRange range = function_->target_range();
  const double least = std::max(range.least, -finite), most = std::min(range.most, finite);
  for (const auto& [name, samples] : splits_with_vectors(data)) {
    const auto& values = std::get<std::vector<double>>(samples->targets);
    for (std::int64_t n = 0; n < samples->count; ++n) {
      const std::int64_t begin = n * outputs(), end = begin + steps(length_of(*samples, n)) * features_;
      for (std::int64_t i = begin; i < end; ++i) {
        const double value = values[static_cast<std::size_t>(i)];
        if (least <= value && value <= most) continue;
        const std::int64_t step = (i - begin) / features_, element = (i - begin) % features_;
        const std::string where = fmt::format(
            "sample {} of the {} split has the target {} at {}element {} (counted from 0)", samples->source_index(n),
            name, value, is_per_step() ? fmt::format("step {}, ", step) : "", element);
        const Origin origin = origin_of(*samples, n, i - begin);
        if (!std::isfinite(value))
          origin.fail(where + ", expected a finite number",
                      "lengths cut targets only where the last layer's outputs are steps of the input; here all count");
        if (std::abs(value) > finite)
          origin.fail(fmt::format("{}, which {} cannot hold", where, name_of(dtype)),
                      "scale the targets, or set dtype: float64");
        origin.fail(fmt::format("{}; {} takes {}", where, name_, range.takes), range.hint);
      }
    }
  }
}

std::vector<std::string> Loss::doubts(const DataSet& data) const {
  // Probabilities that were rounded to a few digits do sum to 1.
  constexpr double kRounding = 0.01;
  std::vector<std::string> doubts;
  if (!function_->is_of_classes()) return doubts;
  for (const auto& [name, samples] : splits_with_vectors(data)) {
    const auto& values = std::get<std::vector<double>>(samples->targets);
    std::int64_t others = 0, all = 0;
    std::string place, first;
    for (std::int64_t n = 0; n < samples->count; ++n)
      for (std::int64_t t = 0; t < steps(length_of(*samples, n)); ++t, ++all) {
        double sum = 0.0;
        for (std::int64_t i = 0; i < features_; ++i)
          sum += values[static_cast<std::size_t>((n * steps_ + t) * features_ + i)];
        if (std::abs(sum - 1.0) <= kRounding) continue;
        if (others++ > 0) continue;
        place = origin_of(*samples, n, t * features_).place.text();
        first = fmt::format("that of sample {}{} sums to {:.6g}", samples->source_index(n),
                            is_per_step() ? fmt::format(", step {},", t) : "", sum);
      }
    if (others > 0)
      doubts.push_back(
          fmt::format("{}{}{} of the {} targets of the {} split {} not sum to 1, as {} wants them to: {} "
                      "(counted from 0); each counts as much as its sum",
                      place, place.empty() ? "" : ": ", others, all, name, others == 1 ? "does" : "do", name_, first));
  }
  return doubts;
}

}  // namespace backplane
