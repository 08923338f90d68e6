#pragma once

#include <backplane/abi.h>

#include <cstdint>
#include <span>
#include <vector>

#include "plugin_host/layer.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// Samples [begin, begin + count) of a batch.
struct Rows {
  std::int64_t begin = 0, count = 0;
};

/// What a layer's kernels compute with: its parameters, and what its `pack` packed of them. Views of memory whose
/// owner keeps it. A layer can be called with others than its own, as feedback alignment does backward.
struct ParameterSet {
  std::vector<void*> values;  ///< of each parameter that the plan has, in the plan's order
  void* packed = nullptr;     ///< LayerPlan::packed elements; what `LayerCall::pack` writes
};

/// The one place that puts together what a layer's kernels are called with (`bp_call`), and knows the order in which
/// they may be called:
///
///   pack              when parameters have changed
///   collect_forward   of every slice, where the layer sums over the batch; then set_batch_sums with the totals
///   forward           of every slice
///   collect_backward  likewise, with δ
///   backward          of every slice: ∂C/∂a_in, and ∂C/∂θ of the slice where the plan has no gradient units
///   gradient          of a range of units over the whole batch, where it has
///   update_state      of the whole batch, when backward has passed
///
/// Made once for each worker and layer: a call allocates nothing. `begin` starts each: after it, every tensor of
/// the batch is absent, and the caller sets those that there are; parameters, shared state and workspace stay. Tensors
/// are given by their first row; all memory is the caller's. Used by one thread at a time.
class LayerCall {
 public:
  /// `layer` and `plan` must outlive it. `inputs`: shapes of one sample, as the layer was planned for.
  LayerCall(const Layer& layer, const LayerPlan& plan, const std::vector<Shape>& inputs, DType dtype);
  LayerCall(LayerCall&&) noexcept = default;  // its parts stay where they are; a copy's would be the original's
  LayerCall(const LayerCall&) = delete;

  /// The parameters of all calls from now on.
  void use(const ParameterSet& parameters);

  struct Settings {
    Rows rows;
    std::int64_t batch_rows = 0;  ///< of the whole batch
    std::uint64_t step = 0;       ///< of the optimizer, from 1
    bool is_training = true;
    std::uint64_t random_key = 0;  ///< of this layer in this run
  };
  void begin(const Settings& settings);

  void set_input(std::size_t i, const void* data) { inputs_[i].data = const_cast<void*>(data); }
  /// `i` counts LayerPlan::saved.
  void set_saved(std::size_t i, void* data) { saved_[i].data = data; }
  /// `i` counts LayerPlan::state. Of shared state, for all calls from now on.
  void set_state(std::size_t i, void* data) { state_[i].data = data; }
  void set_output(void* z) { call_.output.data = z; }
  void set_delta(void* delta) { call_.delta.data = delta; }
  /// Valid steps of each sample of this call.
  void set_lengths(const std::int64_t* lengths) { call_.lengths = lengths; }
  /// The sums over the batch, once they are complete.
  void set_batch_sums(double* forward, double* backward) {
    call_.forward_sums = forward;
    call_.backward_sums = backward;
  }
  /// LayerPlan::workspace_bytes of the rows at least.
  void set_workspace(void* data, std::uint64_t bytes) {
    call_.workspace = data;
    call_.workspace_bytes = bytes;
  }

  /// Asks backward for ∂C/∂a of input `i`: written.
  void want_d_input(std::size_t i, void* data) { d_inputs_[i].data = data; }
  /// Asks backward, or `gradient`, for ∂C/∂θ of the plan's parameter `p`: added to what stands there, or written over
  /// it where the plan says so (writes_gradients). `data`: of the whole parameter; of `gradient`, of the units alone.
  void want_d_parameter(std::size_t p, void* data) { d_parameters_[declared_[p]].data = data; }

  // As Layer's, which say what they throw. [compute]

  void forward() { layer_.forward(call_); }
  /// This slice's part of the sums; `part` is cleared first.
  void collect_forward(std::span<double> part);
  void collect_backward(std::span<double> part);
  /// Hands over what the plan needs and withholds the rest. Does nothing where nothing is asked for: no ∂C/∂a_in, no
  /// ∂C/∂θ, and no saved tensor that backward writes.
  void backward();
  /// ∂C/∂θ, as asked for, of units [begin, end): tensors with `end − begin` as their first extent.
  void gradient(std::int64_t unit_begin, std::int64_t unit_end);
  /// Packs the parameters of these units anew; of a layer without gradient units, all.
  void pack(std::int64_t unit_begin, std::int64_t unit_end);
  void pack() { pack(0, plan_.gradient_units); }
  void update_state() { layer_.update_state(call_); }

 private:
  /// A tensor with the batch axis in front of `sample`; data and number of rows come with each call.
  bp_tensor per_sample(const Shape& sample);
  bp_tensor whole(const Shape& shape);
  void set_units(std::int64_t begin, std::int64_t end);
  void withhold_what_is_not_needed();

  const Layer& layer_;
  const LayerPlan& plan_;
  std::uint32_t dtype_;
  std::vector<Shape> extents_;  // what the dims pointers point to; reserved once, never moved
  std::vector<bp_tensor> inputs_, parameters_, saved_, state_, d_inputs_, d_parameters_;
  std::vector<std::size_t> carried_;   // indices in state_
  std::vector<std::size_t> declared_;  // of each parameter that the plan has, its index in the declared order
  bool backward_saves_ = false;        // a saved tensor
  bp_call call_{};
};

}  // namespace backplane
