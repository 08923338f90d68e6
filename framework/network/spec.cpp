#include "network/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "initializers/table.h"
#include "plugin_host/attributes.h"
#include "losses/table.h"

namespace backplane {

using config::Node;
using config::Schema;

namespace {

const char* const kPluginHint = "`backplane plugin list` shows what was found and where";

Schema activation_schema(const Registry& registry) {
  Schema activations = Schema::choice("activation").hint(kPluginHint);
  for (const Library& library : registry.libraries())
    for (const bp_activation_type& type : library.activations) {
      Schema attributes = Schema::map();
      add_attributes(attributes, type.attributes, type.attribute_count);
      activations.alternative(type.name, attributes, type.summary);
    }
  // The host itself applies no activation where none is wanted: that needs no plug-in.
  if (registry.find_activation("identity").type == nullptr) activations.alternative("identity", Schema::map(), "z");
  return activations;
}

/// A parameter's default initialiser as its plug-in names it; nothing where there is none of that name, which is an
/// error only for a network that uses the layer.
std::optional<std::string> default_initializer(const bp_parameter& parameter) {
  try {
    config::validate(Node::plain(parameter.init), initializer_schema());
    return parameter.init;
  } catch (const UserError&) {
    return std::nullopt;
  }
}

/// The keys that every layer has, and the plug-in's own.
Schema layer_schema(const bp_layer_type& type, const Schema& activations) {
  Schema init = Schema::map(), trainable = Schema::map();
  for (std::uint32_t i = 0; i < type.parameter_count; ++i) {
    const bp_parameter& parameter = *type.parameters[i];
    init.optional(parameter.name, initializer_schema(), default_initializer(parameter), "initialiser");
    trainable.optional(parameter.name, Schema::boolean(), "true", "false: stays as initialised");
  }
  Schema schema = Schema::map();
  schema.optional("name", Schema::text(), std::nullopt, "name in files and messages");
  schema.optional("inputs", Schema::either(Schema::text(), Schema::list(Schema::text()).items(1)), std::nullopt,
                  "names of the layers that feed this one; default: the layer before");
  add_attributes(schema, type.attributes, type.attribute_count);
  schema.optional("activation", activations, "identity", "σ, applied to the layer's z");
  schema.optional("init", init, "{}", "initial values of parameters");
  schema.optional("trainable", Schema::either(Schema::boolean(), trainable), "true",
                  "false: parameters stay as they are");
  schema.optional("l1", Schema::number().at_least(0), std::nullopt, "factor of ‖W‖₁; default: train.l1");
  schema.optional("l2", Schema::number().at_least(0), std::nullopt, "factor of ½‖W‖²; default: train.l2");
  return schema;
}

void check_name(const std::string& name, const Place& place) {
  const bool fit = !name.empty() && name.size() <= 64 && name != "data" &&
                   std::all_of(name.begin(), name.end(),
                               [](char c) {
                                 return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
                               }) &&
                   std::isalnum(static_cast<unsigned char>(name[0]));
  if (!fit)
    throw UserError(ExitCode::bad_config, Diagnostic{.place = place,
                                                     .what = fmt::format("'{}' is not a valid layer name", name),
                                                     .hint = "up to 64 letters, digits, '_', '-' and '.', beginning "
                                                             "with a letter or digit; 'data' is taken by the input"});
}

std::vector<std::string> read_names(const Node& node) {
  std::vector<std::string> names;
  if (node.is_scalar()) names.push_back(node.as_text());
  for (const Node& item : node.list) names.push_back(item.as_text());
  return names;
}

LayerSpec read_layer(const Node& entry) {
  LayerSpec spec;
  spec.type = entry.chosen();
  spec.settings = entry.choice();
  if (const Node* name = spec.settings.find("name"); name != nullptr && !name->is_null()) {
    spec.name = name->as_text();
    check_name(spec.name, name->place);
  }
  if (const Node* inputs = spec.settings.find("inputs")) spec.inputs = read_names(*inputs);
  if (const Node* l1 = spec.settings.find("l1")) spec.l1 = l1->as_number();
  if (const Node* l2 = spec.settings.find("l2")) spec.l2 = l2->as_number();
  return spec;
}

/// dense, dense_2, dense_3, … for layers without a name.
void complete_names(std::vector<LayerSpec>& layers) {
  std::map<std::string, int> count;
  for (LayerSpec& layer : layers) {
    const int number = ++count[layer.type];
    if (layer.name.empty()) layer.name = number == 1 ? layer.type : fmt::format("{}_{}", layer.type, number);
  }
  std::map<std::string, const LayerSpec*> seen;
  for (const LayerSpec& layer : layers) {
    const auto [first, is_new] = seen.emplace(layer.name, &layer);
    if (!is_new)
      throw UserError(ExitCode::bad_config,
                      Diagnostic{.place = layer.settings.place,
                                 .what = fmt::format("two layers are called '{}'; the first is at {}", layer.name,
                                                     first->second->settings.place.text()),
                                 .hint = "names are keys in files: give each layer its own"});
  }
}

}  // namespace

Schema network_schema(const Registry& registry) {
  const Schema activations = activation_schema(registry);
  Schema layer = Schema::choice("layer type").hint(kPluginHint);
  for (const Library& library : registry.libraries())
    for (const bp_layer_type& type : library.layers)
      layer.alternative(type.name, layer_schema(type, activations), type.summary);
  return Schema::map()
      .required("layers", Schema::list(layer).items(1), "the layers, in the order in which data flows")
      .required("loss", loss_schema(), "the loss of one sample, whose mean over the batch is minimised");
}

NetworkSpec read_network(const Node& section) {
  NetworkSpec spec;
  spec.loss = section.at("loss");
  for (const Node& entry : section.at("layers").list) spec.layers.push_back(read_layer(entry));
  complete_names(spec.layers);
  return spec;
}

}  // namespace backplane
