#include "network/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/suggest.h"
#include "base/digest.h"
#include "initializers/table.h"
#include "tensor/finite.h"

namespace backplane {

static_assert(std::endian::native == std::endian::little, "digests and files are little-endian");

using config::Node;

namespace {

bool is_trainable(const Node& trainable, const std::string& parameter) {
  return trainable.is_map() ? trainable.at(parameter).as_bool() : trainable.as_bool();
}

/// What the user wrote for a parameter, or the plug-in's default.
const Node& initializer_of(const LayerSpec& spec, const bp_parameter& declared, const PluginIdentity& plugin) {
  if (const Node* initializer = spec.settings.at("init").find(declared.name)) return *initializer;
  throw UserError(
      ExitCode::internal,
      fmt::format("plug-in {}: layer type '{}': parameter '{}' has a default initialiser '{}' that does not exist",
                  plugin.file, spec.type, declared.name, declared.init),
      fmt::format("it is a defect of the plug-in; until it is mended, give layer '{}' an initialiser: init: {{{}: "
                  "glorot_uniform}}",
                  spec.name, declared.name));
}

std::optional<Activation> make_activation(const Registry& registry, const Node& chosen, DType dtype) {
  if (chosen.chosen() == "identity") return std::nullopt;
  const auto found = registry.find_activation(chosen.chosen());
  BP_ASSERT(found.type != nullptr);  // the schema knows the registry's names only
  return Activation(*found.type, *found.plugin, chosen.choice(), dtype);
}

/// Zeros for a tensor of a layer. Throws UserError at the layer's line where no memory can hold it.
Buffer make_buffer(const Layer& layer, const std::string& what, const Shape& shape, DType dtype) {
  try {
    return Buffer(static_cast<std::size_t>(element_count(shape)) * size_of(dtype));
  } catch (const std::bad_alloc&) {
  } catch (const UserError&) {  // more elements than can be counted
  }
  throw UserError(ExitCode::bad_config,
                  Diagnostic{.place = layer.place(),
                             .what = fmt::format("layer '{}': there is no memory for {} of shape {}", layer.name(),
                                                 what, to_string(shape)),
                             .hint = "fewer outputs, here or in the layer before, need less"});
}

/// An initialiser's numbers may be too large for the type, and a plug-in's fans no numbers of units.
void require_finite(const Layer& layer, const Parameter& parameter, const Place& place, DType dtype) {
  dispatch(dtype, [&]<class T>(T) {
    const T* values = parameter.value.as<T>();
    const std::int64_t element = first_non_finite(values, parameter.count);
    if (element < 0) return;
    throw UserError(
        ExitCode::bad_config,
        Diagnostic{.place = place.text().empty() ? layer.place() : place,
                   .what = fmt::format("parameter '{}' of layer '{}' would begin with {} at element {} in {}",
                                       parameter.name, layer.name(), values[element], element, name_of(dtype)),
                   .hint = "give it an initialiser with smaller numbers, or set dtype: float64"});
  });
}

}  // namespace

bool LayerNode::has_trainable() const {
  return std::any_of(parameters.begin(), parameters.end(), [](const Parameter& p) { return p.trainable; });
}

ParameterSet LayerNode::parameter_set() const {
  ParameterSet set{.values = {}, .packed = const_cast<void*>(packed.data())};
  for (const Parameter& parameter : parameters) set.values.push_back(const_cast<void*>(parameter.value.data()));
  return set;
}

LayerCall LayerNode::make_call(DType dtype) const {
  LayerCall call(layer, plan, input_shapes, dtype);
  call.use(parameter_set());
  for (const SharedState& shared : shared_state)
    call.set_state(shared.declared, const_cast<void*>(shared.value.data()));
  return call;
}

void LayerNode::activate(const void* z, void* a, std::int64_t samples) const {
  if (activation) activation->forward(z, a, samples * output_size / features(), features());
}

void LayerNode::multiply_by_slope(const void* z, const void* a, void* delta, std::int64_t samples) const {
  if (activation) activation->backward(z, a, delta, delta, samples * output_size / features(), features());
}

Network::Network(const NetworkSpec& spec, const Registry& registry, const Shape& input, DType dtype, std::uint64_t seed,
                 double l1, double l2)
    : dtype_(dtype), input_(input), seed_(seed) {
  nodes_.reserve(spec.layers.size());
  for (const LayerSpec& layer : spec.layers) add_layer(layer, registry, l1, l2);
  require_all_used();
}

std::vector<int> Network::find_producers(const LayerSpec& spec) const {
  if (spec.inputs.empty()) return {static_cast<int>(nodes_.size()) - 1};  // the layer before, or kData for the first
  std::vector<int> producers;
  for (const std::string& name : spec.inputs) {
    const auto found =
        std::find_if(nodes_.begin(), nodes_.end(), [&](const LayerNode& node) { return node.name() == name; });
    if (name != "data" && found == nodes_.end()) {
      std::vector<std::string> known{"data"};
      for (const LayerNode& node : nodes_) known.push_back(node.name());
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{
              .place = spec.settings.at("inputs").place,
              .what = fmt::format("layer '{}' wants input '{}', but no layer before it has that name", spec.name, name),
              .nearest = nearest_name(name, known),
              .known = known,
              .hint = "a layer is fed by layers above it in the list, or by 'data'"});
    }
    producers.push_back(name == "data" ? LayerNode::kData : static_cast<int>(found - nodes_.begin()));
  }
  return producers;
}

void Network::add_layer(const LayerSpec& spec, const Registry& registry, double l1, double l2) {
  const auto found = registry.find_layer(spec.type);
  BP_ASSERT(found.type != nullptr);  // the schema knows the registry's names only
  const Node& activation = spec.settings.at("activation");
  LayerNode node{.layer = Layer(*found.type, *found.plugin, spec.name, spec.settings, dtype_),
                 .activation = make_activation(registry, activation, dtype_),
                 .activation_name = activation.chosen(),
                 .plan = {},
                 .inputs = find_producers(spec),
                 .input_shapes = {},
                 .output_size = 0,
                 .parameters = {},
                 .packed = {},
                 .shared_state = {},
                 .is_over_time = false};
  for (const int producer : node.inputs) node.input_shapes.push_back(shape_of(producer));
  node.is_over_time =
      std::any_of(node.inputs.begin(), node.inputs.end(), [&](int producer) { return is_over_time(producer); });
  node.plan = node.layer.plan(node.input_shapes);
  // What holds rows of a batch is made later; here, what not even one row of has room is told from a large batch.
  make_buffer(node.layer, "one sample of its output", node.plan.output, dtype_);
  for (const SavedTensor& saved : node.plan.saved)
    make_buffer(node.layer, fmt::format("one sample of '{}'", saved.name), saved.sample_shape, dtype_);
  node.output_size = element_count(node.plan.output);
  add_parameters(node, spec, l1, l2);
  add_state(node);
  node.packed = make_buffer(node.layer, "what it derives from its parameters", {node.plan.packed}, dtype_);
  nodes_.push_back(std::move(node));
}

void Network::add_parameters(LayerNode& node, const LayerSpec& spec, double l1, double l2) {
  const Node& trainable = spec.settings.at("trainable");
  for (const PlannedParameter& planned : node.plan.parameters) {
    const bp_parameter& declared = *node.layer.type().parameters[planned.declared];
    const bool is_weight = std::string_view(declared.role) == "weight";
    Parameter parameter{.name = declared.name,
                        .role = declared.role,
                        .declared = planned.declared,
                        .shape = planned.shape,
                        .count = 0,
                        .trainable = is_trainable(trainable, declared.name),
                        .l1 = is_weight ? spec.l1.value_or(l1) : 0.0,
                        .l2 = is_weight ? spec.l2.value_or(l2) : 0.0,
                        .value = {}};
    parameter.value = make_buffer(node.layer, fmt::format("parameter '{}'", declared.name), planned.shape, dtype_);
    parameter.count = element_count(planned.shape);
    const Stream stream(seed_, Purpose::initialize, nodes_.size(), static_cast<std::uint64_t>(planned.declared));
    const std::string owner = fmt::format("parameter '{}' of layer '{}'", declared.name, spec.name);
    initialize(initializer_of(spec, declared, node.layer.plugin()),
               {.stream = stream,
                .shape = planned.shape,
                .fan_in = planned.fan_in,
                .fan_out = planned.fan_out,
                .owner = owner},
               dtype_, parameter.value.data());
    require_finite(node.layer, parameter, initializer_of(spec, declared, node.layer.plugin()).place, dtype_);
    node.parameters.push_back(std::move(parameter));
  }
}

void Network::add_state(LayerNode& node) {
  for (std::size_t i = 0; i < node.plan.state.size(); ++i) {
    const StateTensor& state = node.plan.state[i];
    Buffer value = make_buffer(node.layer, fmt::format("state '{}'", state.name), state.shape, dtype_);
    if (state.kind != BP_STATE_SHARED) continue;
    SharedState shared{.declared = i, .value = std::move(value)};
    dispatch(dtype_, [&]<class T>(T) {
      std::fill_n(shared.value.as<T>(), element_count(state.shape), static_cast<T>(state.initial));
    });
    node.shared_state.push_back(std::move(shared));
  }
}

bool Network::is_over_time(int producer) const {
  if (producer == LayerNode::kData) return true;
  const LayerNode& node = nodes_[static_cast<std::size_t>(producer)];
  return node.is_over_time && node.plan.output.size() >= 2 && node.plan.output[0] == input_[0];
}

void Network::require_all_used() const {
  std::vector<bool> used(nodes_.size(), false);
  used.back() = true;
  for (const LayerNode& node : nodes_)
    for (const int producer : node.inputs)
      if (producer != LayerNode::kData) used[static_cast<std::size_t>(producer)] = true;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (!used[i])
      throw UserError(
          ExitCode::bad_config,
          Diagnostic{.place = nodes_[i].layer.place(),
                     .what = fmt::format("layer '{}' feeds no other layer", nodes_[i].name()),
                     .hint = "name it in another layer's `inputs`, or leave it out; the loss looks at the last layer"});
}

std::int64_t Network::parameter_count() const {
  std::int64_t count = 0;
  for (const LayerNode& node : nodes_)
    for (const Parameter& parameter : node.parameters) count += parameter.count;
  return count;
}

std::string Network::weights_digest() const {
  Sha256 digest;
  for (const LayerNode& node : nodes_)
    for (const Parameter& parameter : node.parameters) digest.add(parameter.value.data(), parameter.value.bytes());
  return digest.hex();
}

std::vector<std::pair<std::string, std::string>> Network::layer_digests() const {
  std::vector<std::pair<std::string, std::string>> digests;
  for (const LayerNode& node : nodes_) {
    if (node.parameters.empty()) continue;
    Sha256 digest;
    for (const Parameter& parameter : node.parameters) digest.add(parameter.value.data(), parameter.value.bytes());
    digests.emplace_back(node.name(), digest.hex());
  }
  return digests;
}

}  // namespace backplane
