#include "trainer/divergence.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

namespace backplane {

namespace {

/// The squares of such numbers, or their products with a few weights, leave float32.
constexpr double kHuge = 1e15;
/// Larger ones are scaled before weights are looked at.
constexpr double kLarge = 1e3;

struct Largest {
  double value = 0.0;
  const char* noun = "input";
  std::int64_t sample = 0;  ///< as its source counts it
  std::int64_t element = 0;

  void look_at(const double* values, std::int64_t count, const char* what, std::int64_t of_sample) {
    for (std::int64_t i = 0; i < count; ++i)
      if (std::abs(values[i]) > std::abs(value)) *this = {values[i], what, of_sample, i};
  }
};

/// The number furthest from 0 among inputs, as they are used, and target vectors, without padding.
Largest largest_of(const Batch& batch, const Loss& loss) {
  const DataSet& data = *batch.data;
  const Samples& samples = *batch.samples;
  std::vector<double> inputs(static_cast<std::size_t>(data.input_size()));
  Largest largest;
  for (const std::int64_t* index = batch.indices; index != batch.indices + batch.count; ++index) {
    const std::int64_t sample = samples.source_index(*index);
    data.gather_input(samples, *index, inputs.data());
    const std::int64_t* length = samples.lengths.empty() ? nullptr : &samples.lengths[std::size_t(*index)];
    const std::int64_t steps = length == nullptr ? data.input_shape[0] : *length;
    largest.look_at(inputs.data(), data.input_size() / data.input_shape[0] * steps, "input", sample);
    if (const auto* targets = std::get_if<std::vector<double>>(&samples.targets))
      largest.look_at(targets->data() + *index * data.target_size, loss.valid_outputs(length), "target", sample);
  }
  return largest;
}

}  // namespace

Divergence explain_divergence(const Batch& batch, const Loss& loss, bool is_first) {
  const Largest largest = largest_of(batch, loss);
  const double size = std::abs(largest.value);
  if (!is_first && size < kHuge) return {"", "a lower learning rate, train.clip or scaled inputs help most often"};
  return {fmt::format("; the largest number of {} is {:.6g}, {} {} of sample {} (counted from 0)",
                      batch.count == 1 ? "the sample" : "the batch", largest.value, largest.noun, largest.element,
                      largest.sample),
          fmt::format("{}{}", is_first ? "no weight has changed yet, so that no learning rate is to blame: " : "",
                      size < kLarge ? "smaller initial weights help most often"
                                    : fmt::format("scale the {}s, or leave out the sample", largest.noun))};
}

}  // namespace backplane
