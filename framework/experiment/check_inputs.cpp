#include "experiment/check_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <type_traits>
#include <vector>

namespace backplane {

namespace {

/// An embedding that is fed by the data, as it is or in another shape.
struct Vocabulary {
  const LayerNode* layer;
  std::int64_t size;
};

/// Whether a producer gives the data's own numbers, moved, or with zeros, which are indices, around them.
bool holds_data(const NetworkSpec& spec, const Network& network, int producer) {
  if (producer == LayerNode::kData) return true;
  constexpr std::array kMovers{"flatten", "reshape", "zero_pad", "concat"};
  const auto i = static_cast<std::size_t>(producer);
  const LayerNode& node = network.nodes()[i];
  return !node.activation && std::ranges::find(kMovers, spec.layers[i].type) != kMovers.end() &&
         std::ranges::all_of(node.inputs, [&](int input) { return holds_data(spec, network, input); });
}

/// The smallest one: what fits it fits the others.
std::optional<Vocabulary> vocabulary_of(const NetworkSpec& spec, const Network& network) {
  std::optional<Vocabulary> smallest;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const LayerNode& node = network.nodes()[i];
    if (spec.layers[i].type != "embedding" || !holds_data(spec, network, node.inputs.front())) continue;
    const std::int64_t size = spec.layers[i].settings.at("vocabulary").as_integer();
    if (!smallest || size < smallest->size) smallest = Vocabulary{&node, size};
  }
  return smallest;
}

bool is_scaled(const DataSet& data) {
  return std::ranges::any_of(data.shift, [](double shift) { return shift != 0.0; }) ||
         std::ranges::any_of(data.scale, [](double scale) { return scale != 1.0; });
}

/// Whether scaling or rounding may make something of the inputs that their source did not hold. Sources hold finite
/// numbers alone.
template <class T>
bool changes(const DataSet& data) {
  return is_scaled(data) ||
         (std::is_same_v<T, float> && std::holds_alternative<std::vector<double>>(data.train.inputs));
}

/// What was written of scaling.
const config::Node& scaling_of(const Experiment& experiment) {
  const config::Node& section = experiment.resolved.at("data");
  const config::Node& map = section.chosen() == "synthetic" ? section.choice().choice() : section.choice();
  const config::Node* normalize = map.find("normalize");
  return normalize != nullptr ? *normalize : map.at("scale");
}

/// Scaling makes other indices of indices.
void require_unscaled(const Experiment& experiment, const DataSet& data, const Vocabulary& vocabulary) {
  if (!is_scaled(data)) return;
  throw UserError(ExitCode::bad_config,
                  Diagnostic{.place = scaling_of(experiment).place,
                             .what = fmt::format("the inputs are scaled, but layer '{}' takes them as indices",
                                                 vocabulary.layer->name()),
                             .path = "data",
                             .hint = "leave `scale` and `normalize` out: indices are used as they are"});
}

/// What to do about an input that is not finite as T, where `exact` is the same in float64.
template <class T>
const char* remedy_for_infinity(const DataSet& data, double exact) {
  if (std::is_same_v<T, float> && std::isfinite(exact))
    return is_scaled(data) ? "scale the inputs to smaller numbers, or set dtype: float64"
                           : "scale the inputs, or set dtype: float64";
  return "the numbers that it is scaled with do not fit it: `normalize` wants a mean and a std of the size of the "
         "inputs, "
         "and `scale` takes the training split's range, which other splits have to share";
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
  std::vector<double> exact(inputs.size());  // where an index is not rounded to another
  for (std::int64_t n = 0; n < samples.count; ++n) {
    data.gather_input(samples, n, inputs.data());
    // Counted, not searched for: a loop that has no exit is compiled into vectors.
    const auto finite = std::ranges::count_if(inputs, [](T value) { return std::isfinite(value); });
    if (!vocabulary && finite == std::ssize(inputs)) continue;
    data.gather_input(samples, n, exact.data());
    const std::int64_t valid = valid_inputs(data, samples, n);
    for (std::int64_t i = 0; i < data.input_size(); ++i) {
      const T value = inputs[static_cast<std::size_t>(i)];
      const double index = exact[static_cast<std::size_t>(i)];
      const auto where = [&](auto number) {
        return fmt::format("sample {} of the {} split holds {} at element {} (both counted from 0)",
                           samples.source_index(n), name, number, i);
      };
      const auto origin = [&] { return samples.inputs_origin.at(samples.source_index(n) * data.input_size() + i); };
      if (!std::isfinite(value))
        origin().fail(fmt::format("{}, once it is scaled and rounded to {}", where(value), name_of(dtype_of<T>())),
                      remedy_for_infinity<T>(data, index));
      const bool is_index = !vocabulary || i >= valid ||
                            (index >= 0 && index < static_cast<double>(vocabulary->size) && std::floor(index) == index);
      if (!is_index)
        origin().fail(fmt::format("{}, but layer '{}' takes whole numbers from 0 to {} (vocabulary: {})", where(index),
                                  vocabulary->layer->name(), vocabulary->size - 1, vocabulary->size),
                      "a larger vocabulary takes more indices; numbers that are none go into other layers");
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
  if (vocabulary) require_unscaled(experiment, data, *vocabulary);
  dispatch(network.dtype(), [&]<class T>(T) {
    if (!vocabulary && !changes<T>(data)) return;
    check_split<T>("training", data, data.train, vocabulary);
    if (data.validation) check_split<T>("validation", data, *data.validation, vocabulary);
    if (data.test) check_split<T>("test", data, *data.test, vocabulary);
  });
}

}  // namespace backplane
