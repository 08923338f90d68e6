#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/schema.h"
#include "plugin_host/registry.h"

namespace backplane {

/// One entry of `network.layers`, as written.
struct LayerSpec {
  std::string type;
  std::string name;
  std::vector<std::string> inputs;  ///< names of layers; empty: the layer before, or the data
  config::Node settings;            ///< the validated map: attributes, activation, init, trainable
  std::optional<double> l1, l2;     ///< empty: those of `train`
};

/// The section `network:`.
struct NetworkSpec {
  std::vector<LayerSpec> layers;
  config::Node loss;  ///< a validated choice: see losses/table.h
};

/// The schema of `network:`, with one alternative per layer type and activation of the registry, so that attributes
/// of any plug-in are checked like the program's own.
config::Schema network_schema(const Registry& registry);

/// Reads a validated `network:` section. Layers without a name get their type and a number ("dense_2").
/// Throws UserError (bad_config) where two layers have one name, or a name is unfit for files.
NetworkSpec read_network(const config::Node& section);

}  // namespace backplane
