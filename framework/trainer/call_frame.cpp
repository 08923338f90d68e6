#include "trainer/call_frame.h"

namespace backplane {

CallFrame::CallFrame(const Network& network, const LayerNode& node)
    : dtype_(static_cast<std::uint32_t>(network.dtype())), units_(node.plan.gradient_units) {
  const std::uint32_t declared = node.layer.type().parameter_count;
  extents_.reserve(2 * node.input_shapes.size() + node.plan.saved.size() + node.plan.state.size() +
                   node.parameters.size() + 2);
  for (const Shape& shape : node.input_shapes)
    inputs_.push_back(per_sample(shape)), d_inputs_.push_back(per_sample(shape));
  for (const SavedTensor& saved : node.plan.saved) saved_.push_back(per_sample(saved.sample_shape));
  for (std::size_t i = 0; i < node.plan.state.size(); ++i) {
    const StateTensor& state = node.plan.state[i];
    if (state.kind == BP_STATE_CARRIED) {
      state_.push_back(per_sample(state.shape));
      carried_.push_back(i);
      continue;
    }
    const Shape& dims = extents_.emplace_back(state.shape);
    state_.push_back({.data = nullptr,
                      .dims = dims.data(),
                      .count = element_count(dims),
                      .rank = static_cast<std::uint32_t>(dims.size()),
                      .dtype = dtype_});
  }
  for (const SharedState& shared : node.shared_state)
    state_[shared.declared].data = const_cast<void*>(shared.value.data());
  parameters_.assign(declared, bp_tensor{.data = nullptr, .dims = nullptr, .count = 0, .rank = 0, .dtype = dtype_});
  for (const Parameter& parameter : node.parameters) {
    const auto index = static_cast<std::size_t>(parameter.declared);
    const Shape& dims = extents_.emplace_back(parameter.shape);
    parameters_[index] = {.data = const_cast<void*>(parameter.value.data()),
                          .dims = dims.data(),
                          .count = parameter.count,
                          .rank = static_cast<std::uint32_t>(dims.size()),
                          .dtype = dtype_};
    declared_.push_back(index);
  }
  d_parameters_ = parameters_;
  call_ = {.struct_size = sizeof(bp_call),
           .flags = 0,
           .host = nullptr,
           .context = nullptr,
           .step = 0,
           .sample_begin = 0,
           .samples = 0,
           .unit_begin = 0,
           .unit_end = node.plan.gradient_units,
           .inputs = inputs_.data(),
           .parameters = parameters_.data(),
           .saved = saved_.data(),
           .prepared = const_cast<void*>(node.prepared.data()),
           .output = per_sample(node.plan.output),
           .delta = per_sample(node.plan.output),
           .d_inputs = d_inputs_.data(),
           .d_parameters = d_parameters_.data(),
           .workspace = nullptr,
           .workspace_bytes = 0,
           .batch_samples = 0,
           .random_key = 0,
           .lengths = nullptr,
           .forward_sums = nullptr,
           .backward_sums = nullptr,
           .state = state_.data(),
           .input_count = static_cast<std::uint32_t>(inputs_.size()),
           .reserved = 0};
}

bp_tensor CallFrame::per_sample(const Shape& sample) {
  Shape& dims = extents_.emplace_back(sample);
  dims.insert(dims.begin(), 0);
  return {.data = nullptr,
          .dims = dims.data(),
          .count = 0,
          .rank = static_cast<std::uint32_t>(dims.size()),
          .dtype = dtype_};
}

bp_call& CallFrame::start(std::int64_t begin, std::int64_t rows, std::uint64_t step, bool training) {
  const auto resize = [rows](bp_tensor& tensor) {
    const_cast<std::int64_t*>(tensor.dims)[0] = rows;
    tensor.count = 1;
    for (std::uint32_t axis = 0; axis < tensor.rank; ++axis) tensor.count *= tensor.dims[axis];
    tensor.data = nullptr;
  };
  for (auto* tensors : {&inputs_, &saved_, &d_inputs_})
    for (bp_tensor& tensor : *tensors) resize(tensor);
  for (const std::size_t i : carried_) resize(state_[i]);
  for (bp_tensor& tensor : d_parameters_) tensor.data = nullptr;
  resize(call_.output);
  resize(call_.delta);
  call_.flags = training ? BP_CALL_TRAINING : 0;
  call_.step = step;
  call_.sample_begin = begin;
  call_.samples = rows;
  call_.unit_begin = 0;
  call_.unit_end = units_;
  call_.lengths = nullptr;
  call_.forward_sums = nullptr;
  call_.backward_sums = nullptr;
  return call_;
}

}  // namespace backplane
