#pragma once

#include <backplane/abi.h>

#include <vector>

#include "network/network.h"

namespace backplane {

/// The bp_call of one layer, with the tensors it points to: made once for each worker and layer, filled in for each
/// call without allocating. Owned and used by one worker at a time.
class CallFrame {
 public:
  CallFrame(const Network& network, const LayerNode& node);

  /// Starts a call on `rows` samples from `begin` on: every optional pointer is NULL, parameters and shared state are
  /// the layer's own, all units are asked for.
  bp_call& start(std::int64_t begin, std::int64_t rows, std::uint64_t step, bool training);

  void set_input(std::size_t i, const void* data) { inputs_[i].data = const_cast<void*>(data); }
  void set_saved(std::size_t i, void* data) { saved_[i].data = data; }
  /// `i` counts the state tensors of the plan; for carried ones.
  void set_state(std::size_t i, void* data) { state_[i].data = data; }
  void set_d_input(std::size_t i, void* data) { d_inputs_[i].data = data; }
  /// `i` counts the parameters that the layer has.
  void set_d_parameter(std::size_t i, void* data) { d_parameters_[declared_[i]].data = data; }

 private:
  /// A tensor with the batch axis in front of `sample`; data and number of rows come with each call.
  bp_tensor per_sample(const Shape& sample);

  std::uint32_t dtype_;
  std::int64_t units_;
  std::vector<Shape> extents_;  // what the dims pointers point to; reserved once, never moved
  std::vector<bp_tensor> inputs_, parameters_, saved_, state_, d_inputs_, d_parameters_;
  std::vector<std::size_t> carried_;   // indices in state_
  std::vector<std::size_t> declared_;  // of each parameter that the layer has, its index in the declared order
  bp_call call_{};
};

}  // namespace backplane
