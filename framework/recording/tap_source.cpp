#include "recording/tap_source.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "base/suggest.h"

namespace backplane {

namespace {

/// "delta", or "weights" of "weights/W".
std::string tap_of(const LayerTensor& tensor) {
  return tensor.name.substr(0, tensor.name.find('/'));
}

/// Everything that can be looked at, layer by layer in the order of a step.
std::vector<LayerTensor> all_sources(const Network& network, bool loss_gives_delta) {
  std::vector<LayerTensor> sources;
  for (std::size_t node = 0; node < network.nodes().size(); ++node)
    for (LayerTensor& tensor : tensors_of(network, node, loss_gives_delta, {}))
      if (tensor.can_be_tapped) sources.push_back(std::move(tensor));
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
  bool fits_tensor(const LayerTensor& source) const {
    return ::fnmatch(tensor.c_str(), tap_of(source).c_str(), 0) == 0 ||
           ::fnmatch(tensor.c_str(), source.name.c_str(), 0) == 0;
  }
  std::string layer, tensor;
};

/// `weights` or `gradients` of a network that has none to train: the name is right, and often a default.
bool wants_parameters_of_none(const Tap& tap, const std::vector<LayerTensor>& sources) {
  return (tap.pattern == "weights" || tap.pattern == "gradients") &&
         std::ranges::none_of(sources, [&](const LayerTensor& source) { return tap_of(source) == tap.pattern; });
}

[[noreturn]] void report_unused(const Tap& tap, const Network& network, const std::vector<LayerTensor>& sources,
                                const std::string& path) {
  const Pattern pattern(tap.pattern);
  std::vector<std::string> layers, tensors;
  for (const LayerNode& node : network.nodes()) layers.push_back(node.name());
  for (const LayerTensor& source : sources)
    if (std::ranges::find(tensors, tap_of(source)) == tensors.end()) tensors.push_back(tap_of(source));
  const bool has_layer = std::ranges::any_of(layers, [&](const std::string& name) { return pattern.fits_layer(name); });
  const std::string& wrong = has_layer ? pattern.tensor : pattern.layer;
  const std::vector<std::string>& known = has_layer ? tensors : layers;
  const bool names_layer = pattern.layer == "*" && nearest_name(wrong, tensors).empty();
  throw UserError(
      ExitCode::bad_config,
      Diagnostic{.place = tap.place,
                 .what = !has_layer             ? fmt::format("no layer of this network is called '{}'", wrong)
                         : pattern.layer == "*" ? fmt::format("no layer of this network has a tensor '{}'", wrong)
                                                : fmt::format("layer '{}' has no tensor '{}'", pattern.layer, wrong),
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

std::vector<LayerTensor> find_taps(const Network& network, bool loss_gives_delta, const std::vector<Tap>& taps,
                                   const std::string& path) {
  const std::vector<LayerTensor> sources = all_sources(network, loss_gives_delta);
  std::vector<bool> is_tapped(sources.size(), false);
  for (const Tap& tap : taps) {
    const Pattern pattern(tap.pattern);
    bool is_used = false;
    for (std::size_t i = 0; i < sources.size(); ++i)
      if (pattern.fits_layer(network.nodes()[sources[i].node].name()) && pattern.fits_tensor(sources[i]))
        is_used = is_tapped[i] = true;
    if (!is_used && !wants_parameters_of_none(tap, sources)) report_unused(tap, network, sources, path);
  }
  std::vector<LayerTensor> found;
  for (std::size_t i = 0; i < sources.size(); ++i)
    if (is_tapped[i]) found.push_back(sources[i]);
  return found;
}

}  // namespace backplane
