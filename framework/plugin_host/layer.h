#pragma once

#include <backplane/abi.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/node.h"
#include "plugin_host/guard.h"
#include "plugin_host/library.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// A parameter that a planned layer has.
struct PlannedParameter {
  int declared = 0;  ///< index in the type's table, and in bp_call.parameters
  Shape shape;
  std::int64_t fan_in = 1;
  std::int64_t fan_out = 1;
};

/// A per-sample tensor of the layer's own.
struct SavedTensor {
  std::string name;
  Shape sample_shape;
  std::uint32_t written_by = BP_SAVED_BY_FORWARD;
};

/// A tensor that lives from step to step.
struct StateTensor {
  std::string name;
  Shape shape;  ///< without the batch axis where it is carried
  std::uint32_t kind = BP_STATE_SHARED;
  double initial = 0.0;
};

/// What a layer said about itself for given input shapes. Shapes of samples leave the batch axis out.
struct LayerPlan {
  Shape output;
  std::vector<PlannedParameter> parameters;
  std::vector<SavedTensor> saved;
  std::uint32_t needs = 0;
  std::uint64_t workspace_fixed = 0;
  std::uint64_t workspace_per_sample = 0;
  std::int64_t gradient_units = 0;  ///< 0: gradients are summed slice by slice
  std::int64_t packed = 0;          ///< elements
  std::int64_t forward_sums = 0;    ///< numbers summed over the batch before forward, in training
  std::int64_t backward_sums = 0;   ///< likewise before backward
  std::vector<StateTensor> state;
  bool uses_lengths = false;
  std::int64_t full_speed_samples = 1;
  bool writes_gradients = false;

  bool has_batch_sums() const { return forward_sums > 0 || backward_sums > 0; }
  bool has_carried_state() const;
  /// Of a call on so many samples.
  std::uint64_t workspace_bytes(std::int64_t samples) const {
    return workspace_fixed + workspace_per_sample * static_cast<std::uint64_t>(samples);
  }
};

/// Has a plug-in destroy what it made, under a guard as every call.
struct PluginDestroys {
  void (*function)(void*);
  GuardedOwner owner;
  void operator()(void* object) const {
    const PluginGuard guard(owner, "destroy");
    function(object);
  }
};
using PluginObject = std::unique_ptr<void, PluginDestroys>;

/// A plug-in's layer object, with checks around its calls: what a plug-in reports, or gets wrong, becomes a
/// UserError that names the layer, its type, its plug-in and the line of the YAML.
class Layer {
 public:
  /// `attributes`: the validated map of the layer's entry. `type` and `plugin` must outlive the layer.
  Layer(const bp_layer_type& type, const PluginIdentity& plugin, std::string name, const config::Node& attributes,
        DType dtype);

  const std::string& name() const { return name_; }
  const bp_layer_type& type() const { return *type_; }
  const PluginIdentity& plugin() const { return *plugin_; }
  const Place& place() const { return place_; }

  /// Throws UserError (bad_config) where the layer cannot take these inputs.
  LayerPlan plan(const std::vector<Shape>& inputs) const;

  /// The plug-in's kernels. `call.host` and `call.context` are filled in here. Const and thread-safe, as the
  /// contract demands of the plug-in. Throws UserError naming direction and samples: bad_data where the plug-in
  /// calls its input invalid, else internal. [compute]
  void forward(bp_call& call) const { invoke(kernels_->forward, "forward", call); }
  void backward(bp_call& call) const { invoke(kernels_->backward, "backward", call); }
  void pack(bp_call& call) const { invoke(kernels_->pack, "pack", call); }
  void collect_forward(bp_call& call) const { invoke(kernels_->collect_forward, "collect_forward", call); }
  void collect_backward(bp_call& call) const { invoke(kernels_->collect_backward, "collect_backward", call); }
  void update_state(bp_call& call) const { invoke(kernels_->update_state, "update_state", call); }

 private:
  using Kernel = bp_status (*)(const void*, const bp_call*);
  void invoke(Kernel kernel, const char* direction, bp_call& call) const;
  Diagnostic diagnostic(const std::string& what) const;
  /// The rules of abi.h that a plan must keep; "" where it does.
  std::string broken_rule(const bp_plan& plan) const;
  [[noreturn]] void fail(ExitCode code, const std::string& what, const std::string& hint = {}) const;

  const bp_layer_type* type_;
  const PluginIdentity* plugin_;
  std::string name_;
  Place place_;
  DType dtype_;
  const bp_kernels* kernels_ = nullptr;
  PluginObject object_;
};

/// A plug-in's activation object. Const and thread-safe.
class Activation {
 public:
  Activation(const bp_activation_type& type, const PluginIdentity& plugin, const config::Node& attributes, DType dtype);

  const char* name() const { return type_->name; }
  const PluginIdentity& plugin() const { return *plugin_; }
  /// What backward reads: BP_NEEDS_Z, BP_NEEDS_A.
  std::uint32_t needs() const { return type_->needs; }
  /// Rows of `features` elements each. Throw UserError (internal) naming the activation's line. [compute]
  void forward(const void* z, void* a, std::int64_t rows, std::int64_t features) const;
  void backward(const void* z, const void* a, const void* d_activation, void* delta, std::int64_t rows,
                std::int64_t features) const;

 private:
  using Kernel = bp_status (*)(const void*, const bp_activation_call*);
  void invoke(Kernel kernel, const char* direction, bp_activation_call call) const;
  Diagnostic diagnostic(const std::string& what) const;
  [[noreturn]] void fail(ExitCode code, const std::string& what) const;

  const bp_activation_type* type_;
  const PluginIdentity* plugin_;
  Place place_;
  const bp_activation_kernels* kernels_ = nullptr;
  PluginObject object_;
};

}  // namespace backplane
