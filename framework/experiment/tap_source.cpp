#include "experiment/tap_source.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "base/suggest.h"
#include "experiment/tensor_names.h"

namespace backplane {

namespace {

/// Everything that can be looked at, in the order of layers.
std::vector<TapSource> all_sources(const Network& network) {
  std::vector<TapSource> sources;
  for (std::size_t index = 0; index < network.nodes().size(); ++index) {
    const LayerNode& node = network.nodes()[index];
    const auto add_per_sample = [&](const std::string& name, std::size_t item, const Shape& shape,
                                    std::vector<std::string> axes) {
      sources.push_back(
          {.tap = name, .name = name, .node = index, .item = item, .shape = shape, .axes = std::move(axes)});
    };
    for (const char* tap : {"z", "activation", "delta"})
      add_per_sample(tap, 0, node.plan.output, sample_axes(node.plan.output));
    for (std::size_t k = 0; k < node.plan.saved.size(); ++k)
      add_per_sample(node.plan.saved[k].name, k, node.plan.saved[k].sample_shape,
                     saved_axes(node.plan.saved[k].sample_shape));
    for (const std::string tap : {"weights", "gradients"})
      for (std::size_t p = 0; p < node.parameters.size(); ++p)
        if (const Parameter& parameter = node.parameters[p]; tap == "weights" || parameter.trainable)
          sources.push_back({.tap = tap,
                             .name = tap + "/" + parameter.name,
                             .node = index,
                             .item = p,
                             .shape = parameter.shape,
                             .is_per_sample = false,
                             .axes = parameter_axes(parameter.shape)});
  }
  return sources;
}

/// "conv*/delta": layers, then tensors; "delta": of any layer.
struct Pattern {
  explicit Pattern(const std::string& text) {
    const std::size_t slash = text.find('/');
    layer = slash == std::string::npos ? "*" : text.substr(0, slash);
    tensor = slash == std::string::npos ? text : text.substr(slash + 1);
  }
  bool fits_layer(const std::string& name) const { return ::fnmatch(layer.c_str(), name.c_str(), 0) == 0; }
  bool fits_tensor(const TapSource& source) const {
    return ::fnmatch(tensor.c_str(), source.tap.c_str(), 0) == 0 ||
           ::fnmatch(tensor.c_str(), source.name.c_str(), 0) == 0;
  }
  std::string layer, tensor;
};

/// `weights` or `gradients` of a network that has none to train: the name is right, and often a default.
bool wants_parameters_of_none(const Tap& tap, const std::vector<TapSource>& sources) {
  return (tap.pattern == "weights" || tap.pattern == "gradients") &&
         std::ranges::none_of(sources, [&](const TapSource& source) { return source.tap == tap.pattern; });
}

[[noreturn]] void report_unused(const Tap& tap, const Network& network, const std::vector<TapSource>& sources,
                                const std::string& path) {
  const Pattern pattern(tap.pattern);
  std::vector<std::string> layers, tensors;
  for (const LayerNode& node : network.nodes()) layers.push_back(node.name());
  for (const TapSource& source : sources)
    if (std::ranges::find(tensors, source.tap) == tensors.end()) tensors.push_back(source.tap);
  const bool has_layer = std::ranges::any_of(layers, [&](const std::string& name) { return pattern.fits_layer(name); });
  const std::string& wrong = has_layer ? pattern.tensor : pattern.layer;
  const std::vector<std::string>& known = has_layer ? tensors : layers;
  const bool names_layer = pattern.layer == "*" && nearest_name(wrong, tensors).empty();
  throw UserError(
      ExitCode::bad_config,
      Diagnostic{.place = tap.place,
                 .what = has_layer ? fmt::format("no {} has a tensor '{}'",
                                                 pattern.layer == "*" ? "layer of this network"
                                                                      : fmt::format("layer '{}'", pattern.layer),
                                                 wrong)
                                   : fmt::format("no layer of this network is called '{}'", wrong),
                 .path = path,
                 .nearest = names_layer && !nearest_name(wrong, layers).empty() ? nearest_name(wrong, layers) + "/*"
                                                                                : nearest_name(wrong, known),
                 .known = known,
                 .hint = pattern.layer == "*"
                             ? fmt::format("a tap is TENSOR, or LAYER/TENSOR with one of the layers {}",
                                           fmt::join(layers, ", "))
                             : ""});
}

}  // namespace

std::vector<TapSource> find_taps(const Network& network, const std::vector<Tap>& taps, const std::string& path) {
  const std::vector<TapSource> sources = all_sources(network);
  std::vector<bool> is_tapped(sources.size(), false);
  for (const Tap& tap : taps) {
    const Pattern pattern(tap.pattern);
    bool is_used = false;
    for (std::size_t i = 0; i < sources.size(); ++i)
      if (pattern.fits_layer(network.nodes()[sources[i].node].name()) && pattern.fits_tensor(sources[i]))
        is_used = is_tapped[i] = true;
    if (!is_used && !wants_parameters_of_none(tap, sources)) report_unused(tap, network, sources, path);
  }
  std::vector<TapSource> found;
  for (std::size_t i = 0; i < sources.size(); ++i)
    if (is_tapped[i]) found.push_back(sources[i]);
  return found;
}

const void* data_of(const TapSource& source, const Network& network, const Executor& executor) {
  if (source.tap == "z") return executor.z(source.node);
  if (source.tap == "activation") return executor.activation(source.node);
  if (source.tap == "delta") return executor.delta(source.node);
  if (source.tap == "weights") return network.nodes()[source.node].parameters[source.item].value.data();
  if (source.tap == "gradients") return executor.gradient(source.node, source.item);
  return executor.saved(source.node, source.item);
}

}  // namespace backplane
