#include "replay/checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/suggest.h"
#include "model_state/axes.h"
#include "tensor/dtype.h"

namespace backplane {

void check_plugins(const Snapshot& snapshot, const std::string& source, const Registry& registry) {
  for (const StoredLayer& layer : snapshot.layers)
    if (registry.find_layer(layer.type).type == nullptr)
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{
              .place = {.source = source},
              .what = fmt::format("layer '{}' was computed by plug-in {} {}, which is not here: nothing else has "
                                  "the layer type '{}'",
                                  layer.name, layer.plugin, layer.plugin_version, layer.type),
              .path = fmt::format("the plug-in's file then had sha256 {}", layer.plugin_sha256),
              .hint = "name its file with --plugin, or set BACKPLANE_PLUGIN_PATH to the directory it is in"});
}

void check_layers(const Snapshot& snapshot, const std::string& source, const Network& network,
                  const std::string& only) {
  std::vector<std::string> names;
  for (const LayerNode& node : network.nodes()) names.push_back(node.name());
  if (!only.empty() && std::ranges::find(names, only) == names.end())
    throw UserError(ExitCode::usage, Diagnostic{.what = fmt::format("the checkpoint has no layer '{}'", only),
                                                .nearest = nearest_name(only, names),
                                                .known = names});
  const auto same = [](const StoredLayer& layer, const std::string& name) { return layer.name == name; };
  if (!std::ranges::equal(snapshot.layers, names, same))
    throw UserError(ExitCode::bad_data,
                    Diagnostic{.place = {.source = source}, .what = "its layers are not those of its /config"});
}

void check_numbers(const Snapshot& snapshot, const std::string& source, const Experiment& experiment,
                   const Network& network) {
  const auto require_of_file = [&](bool condition, const std::string& what) {
    if (!condition) throw UserError(ExitCode::bad_data, Diagnostic{.place = {.source = source}, .what = what});
  };
  const auto stored = static_cast<std::int64_t>(snapshot.sample_indices.size());
  const std::int64_t batch = snapshot.integers.at("batch_size");
  require_of_file(1 <= stored && stored <= batch && batch <= experiment.train.batch_size,
                  fmt::format("{} samples of a batch of {} are stored, where train.batch_size is {}", stored, batch,
                              experiment.train.batch_size));
  const Shape& input = snapshot.input.shape;
  const std::int64_t time = input.size() > 1 ? input[1] : 0;
  const auto is_length = [&](std::int64_t length) { return 0 <= length && length <= time; };
  require_of_file(snapshot.lengths.empty() ||
                      (std::ssize(snapshot.lengths) == stored && std::ranges::all_of(snapshot.lengths, is_length)),
                  fmt::format("/probe/length is no list of {} numbers from 0 to {}", stored, time));
  const LayerNode& last = network.output();
  require_of_file(snapshot.target.shape == with_batch(stored, last.plan.output) ||
                      snapshot.target.shape == Shape{stored, last.output_size},
                  fmt::format("/probe/target has shape {}, the last layer gives {}", to_string(snapshot.target.shape),
                              to_string(with_batch(stored, last.plan.output))));
  const auto require_type = [&](const StoredTensor& tensor, const std::string& name) {
    require_of_file(tensor.dtype == network.dtype(), fmt::format("{} is {}, the network computes in {}", name,
                                                                 name_of(tensor.dtype), name_of(network.dtype())));
  };
  require_type(snapshot.input, "/probe/input");
  require_type(snapshot.target, "/probe/target");
  for (const StoredLayer& layer : snapshot.layers)
    for (const auto& [name, tensor] : layer.tensors)
      if (!name.starts_with("optimizer/")) require_type(tensor, fmt::format("/layers/{}/{}", layer.name, name));
}

const StoredTensor* find_stored(const StoredLayer& layer, const std::string& name) {
  const auto found = layer.tensors.find(name);
  return found == layer.tensors.end() ? nullptr : &found->second;
}

const StoredTensor& require_stored(const StoredLayer& layer, const std::string& name, const Shape& shape, DType dtype,
                                   const std::string& source) {
  const StoredTensor* tensor = find_stored(layer, name);
  if (tensor == nullptr) fail_foreign(source, layer.name, fmt::format("the checkpoint has no {}", name));
  if (tensor->shape != shape || tensor->dtype != dtype)
    fail_foreign(source, layer.name,
                 fmt::format("{} has shape {} in the checkpoint, the layer now wants {}", name,
                             to_string(tensor->shape), to_string(shape)));
  return *tensor;
}

void fail_foreign(const std::string& source, const std::string& layer, const std::string& what) {
  throw UserError(ExitCode::bad_data, fmt::format("{}: layer '{}': {}", source, layer, what),
                  "replay it with a build of the plug-in that has the same parameters and shapes");
}

}  // namespace backplane
