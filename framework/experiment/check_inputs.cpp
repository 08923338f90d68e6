#include "experiment/check_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <type_traits>
#include <vector>

namespace backplane {

namespace {

/// An embedding that is fed by the data.
struct Vocabulary {
  const LayerNode* layer;
  std::int64_t size;
};

/// The smallest one: what fits it fits the others.
std::optional<Vocabulary> vocabulary_of(const NetworkSpec& spec, const Network& network) {
  std::optional<Vocabulary> smallest;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const LayerNode& node = network.nodes()[i];
    if (spec.layers[i].type != "embedding" || node.inputs.front() != LayerNode::kData) continue;
    const std::int64_t size = spec.layers[i].settings.at("vocabulary").as_integer();
    if (!smallest || size < smallest->size) smallest = Vocabulary{&node, size};
  }
  return smallest;
}

/// Whether scaling or rounding may make something of the inputs that their source did not hold. Sources hold finite
/// numbers alone.
template <class T>
bool changes(const DataSet& data) {
  const bool is_scaled = data.shift != std::vector<double>{0.0} || data.scale != std::vector<double>{1.0};
  return is_scaled || (std::is_same_v<T, float> && std::holds_alternative<std::vector<double>>(data.train.inputs));
}

/// How many of a sample's inputs come before its padding.
std::int64_t valid_inputs(const DataSet& data, const Samples& samples, std::int64_t sample) {
  if (samples.lengths.empty()) return data.input_size();
  return samples.lengths[static_cast<std::size_t>(sample)] * (data.input_size() / data.input_shape[0]);
}

template <class T>
void check_split(const char* name, const DataSet& data, const Samples& samples,
                 const std::optional<Vocabulary>& vocabulary) {
  std::vector<T> inputs(static_cast<std::size_t>(data.input_size()));
  for (std::int64_t n = 0; n < samples.count; ++n) {
    data.gather_input(samples, n, inputs.data());
    // Counted, not searched for: a loop that has no exit is compiled into vectors.
    const auto finite = std::ranges::count_if(inputs, [](T value) { return std::isfinite(value); });
    if (!vocabulary && finite == std::ssize(inputs)) continue;
    const std::int64_t valid = valid_inputs(data, samples, n);
    for (std::int64_t i = 0; i < data.input_size(); ++i) {
      const T value = inputs[static_cast<std::size_t>(i)];
      const auto where = [&] {
        return fmt::format("sample {} of the {} split holds {} at element {} (both counted from 0)",
                           samples.source_index(n), name, value, i);
      };
      const auto origin = [&] { return samples.inputs_origin.at(samples.source_index(n) * data.input_size() + i); };
      if (!std::isfinite(value))
        origin().fail(fmt::format("{}, once it is scaled and rounded to {}", where(), name_of(dtype_of<T>())),
                      "scale the inputs, or set dtype: float64");
      const bool is_index = !vocabulary || i >= valid ||
                            (value >= 0 && value < static_cast<T>(vocabulary->size) && std::floor(value) == value);
      if (!is_index)
        origin().fail(fmt::format("{}, but layer '{}' takes whole numbers from 0 to {} (vocabulary: {})", where(),
                                  vocabulary->layer->name(), vocabulary->size - 1, vocabulary->size),
                      "a larger vocabulary takes more indices; `scale` makes other numbers of them");
    }
  }
}

}  // namespace

void check_inputs(const Experiment& experiment, const DataSet& data, const Network& network) {
  std::optional<Vocabulary> vocabulary = vocabulary_of(experiment.network, network);
  if (vocabulary && !data.vocabulary.empty()) {
    if (data.classes > vocabulary->size)
      throw UserError(ExitCode::bad_config,
                      Diagnostic{.place = vocabulary->layer->layer.place(),
                                 .what = fmt::format("layer '{}' has a vocabulary of {}, but the text has {} symbols",
                                                     vocabulary->layer->name(), vocabulary->size, data.classes),
                                 .hint = fmt::format("set vocabulary: {}", data.classes)});
    vocabulary.reset();
  }
  dispatch(network.dtype(), [&]<class T>(T) {
    if (!vocabulary && !changes<T>(data)) return;
    check_split<T>("training", data, data.train, vocabulary);
    if (data.validation) check_split<T>("validation", data, *data.validation, vocabulary);
    if (data.test) check_split<T>("test", data, *data.test, vocabulary);
  });
}

}  // namespace backplane
