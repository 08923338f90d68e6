#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layer_pass/layer_call.h"
#include "network/spec.h"
#include "plugin_host/layer.h"
#include "tensor/buffer.h"
#include "tensor/dtype.h"

namespace backplane {

/// A parameter tensor θ of one layer. Values are held in plain row-major order.
struct Parameter {
  std::string name;
  std::string role;
  int declared = 0;  ///< index in bp_call.parameters
  Shape shape;
  std::int64_t count = 0;
  bool trainable = true;
  double l1 = 0.0;  ///< factor of ‖θ‖₁
  double l2 = 0.0;  ///< factor of ½‖θ‖²
  Buffer value;
};

/// A tensor that a layer keeps from step to step, one for the whole layer (running statistics). Part of the model, not
/// trained by gradients.
struct SharedState {
  std::size_t declared = 0;  ///< index in LayerPlan::state
  Buffer value;
};

/// A layer in the graph: plug-in object, activation, plan and parameters.
struct LayerNode {
  static constexpr int kData = -1;  ///< as a producer: the batch of inputs

  Layer layer;
  std::optional<Activation> activation;  ///< empty: identity, a is z
  std::string activation_name;
  LayerPlan plan;
  std::vector<int> inputs;          ///< indices of producers, always smaller than the node's own
  std::vector<Shape> input_shapes;  ///< of one sample
  std::int64_t output_size = 0;     ///< numbers per sample of z, a and δ
  std::vector<Parameter> parameters;
  Buffer packed;  ///< what the plug-in derived from the parameters
  std::vector<SharedState> shared_state;
  /// Whether the first axis of an input is the data's time axis, so that `lengths` of the data apply to it.
  bool is_over_time = false;

  const std::string& name() const { return layer.name(); }
  /// Numbers per row of an activation: the last axis of the output.
  std::int64_t features() const { return plan.output.empty() ? 1 : plan.output.back(); }
  bool is_batch_wide() const { return plan.gradient_units > 0; }
  bool has_trainable() const;

  /// Its own parameters, as a call is to use them.
  ParameterSet parameter_set() const;
  /// A call that uses its own parameters and shared state.
  LayerCall make_call(DType dtype) const;
  /// a = σ(z) of so many samples; nothing where the activation is the identity. [compute]
  void activate(const void* z, void* a, std::int64_t samples) const;
  /// δ = ∂C/∂a ⊙ σ'(z), in the place of ∂C/∂a. `a`: what activate wrote, or z. [compute]
  void multiply_by_slope(const void* z, const void* a, void* delta, std::int64_t samples) const;
};

/// The network of an experiment: layers in the order in which data flows, checked shapes, parameters with their
/// initial values. Layer objects are const while training; parameters are written by the trainer alone.
class Network {
 public:
  /// Builds, plans and initialises. Throws UserError (bad_config) for unknown or unused layers and impossible
  /// shapes, naming the layer's line.
  /// `l1`, `l2`: penalties of weights where a layer sets none.
  Network(const NetworkSpec& spec, const Registry& registry, const Shape& input, DType dtype, std::uint64_t seed,
          double l1 = 0.0, double l2 = 0.0);

  DType dtype() const { return dtype_; }
  const Shape& input_shape() const { return input_; }
  const std::vector<LayerNode>& nodes() const { return nodes_; }
  std::vector<LayerNode>& nodes() { return nodes_; }
  /// Whose activation the loss looks at: the last layer.
  const LayerNode& output() const { return nodes_.back(); }
  /// Whether the first axis of a producer's samples is the data's time axis: the producer is the data, or a layer that
  /// is fed by such a producer and keeps the extent of the axis.
  bool is_over_time(int producer) const;
  const Shape& shape_of(int producer) const {
    return producer == LayerNode::kData ? input_ : nodes_[static_cast<std::size_t>(producer)].plan.output;
  }
  std::int64_t parameter_count() const;

  /// SHA-256 over all parameters in layer order, plain order, little-endian: equal iff all weights are equal.
  std::string weights_digest() const;
  /// The same of each layer that has parameters, by name.
  std::vector<std::pair<std::string, std::string>> layer_digests() const;

 private:
  std::vector<int> find_producers(const LayerSpec& spec) const;
  void add_layer(const LayerSpec& spec, const Registry& registry, double l1, double l2);
  void add_parameters(LayerNode& node, const LayerSpec& spec, double l1, double l2);
  void add_state(LayerNode& node);
  void require_all_used() const;

  DType dtype_;
  Shape input_;
  std::uint64_t seed_;
  std::vector<LayerNode> nodes_;
};

}  // namespace backplane
