#include "layer_pass/layer_call.h"

#include <algorithm>

namespace backplane {

namespace {

/// As many along the first axis.
void resize(bp_tensor& tensor, std::int64_t extent) {
  const_cast<std::int64_t*>(tensor.dims)[0] = extent;
  tensor.count = 1;
  for (std::uint32_t axis = 0; axis < tensor.rank; ++axis) tensor.count *= tensor.dims[axis];
}

bool is_there(const bp_tensor& tensor) {
  return tensor.data != nullptr;
}

}  // namespace

LayerCall::LayerCall(const Layer& layer, const LayerPlan& plan, const std::vector<Shape>& inputs, DType dtype)
    : layer_(layer), plan_(plan), dtype_(static_cast<std::uint32_t>(dtype)) {
  extents_.reserve(2 * inputs.size() + plan.saved.size() + plan.state.size() + 2 * plan.parameters.size() + 2);
  for (const Shape& shape : inputs) inputs_.push_back(per_sample(shape)), d_inputs_.push_back(per_sample(shape));
  for (const SavedTensor& saved : plan.saved) {
    saved_.push_back(per_sample(saved.sample_shape));
    backward_saves_ |= saved.written_by == BP_SAVED_BY_BACKWARD;
  }
  for (const StateTensor& state : plan.state) {
    const bool is_carried = state.kind == BP_STATE_CARRIED;
    if (is_carried) carried_.push_back(state_.size());
    state_.push_back(is_carried ? per_sample(state.shape) : whole(state.shape));
  }
  parameters_.assign(layer.type().parameter_count,
                     bp_tensor{.data = nullptr, .dims = nullptr, .count = 0, .rank = 0, .dtype = dtype_});
  d_parameters_ = parameters_;
  for (const PlannedParameter& parameter : plan.parameters) {
    declared_.push_back(static_cast<std::size_t>(parameter.declared));
    parameters_[declared_.back()] = whole(parameter.shape);
    d_parameters_[declared_.back()] = whole(parameter.shape);
  }
  call_ = {.struct_size = sizeof(bp_call),
           .flags = 0,
           .host = nullptr,
           .context = nullptr,
           .step = 0,
           .sample_begin = 0,
           .samples = 0,
           .unit_begin = 0,
           .unit_end = plan.gradient_units,
           .inputs = inputs_.data(),
           .parameters = parameters_.data(),
           .saved = saved_.data(),
           .packed = nullptr,
           .output = per_sample(plan.output),
           .delta = per_sample(plan.output),
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

bp_tensor LayerCall::whole(const Shape& shape) {
  const Shape& dims = extents_.emplace_back(shape);
  return {.data = nullptr,
          .dims = dims.data(),
          .count = element_count(dims),
          .rank = static_cast<std::uint32_t>(dims.size()),
          .dtype = dtype_};
}

bp_tensor LayerCall::per_sample(const Shape& sample) {
  Shape dims = sample;
  dims.insert(dims.begin(), 0);
  return whole(dims);
}

void LayerCall::use(const ParameterSet& parameters) {
  for (std::size_t p = 0; p < declared_.size(); ++p) parameters_[declared_[p]].data = parameters.values[p];
  call_.packed = parameters.packed;
}

void LayerCall::begin(const Settings& settings) {
  const auto start = [&](bp_tensor& tensor) {
    resize(tensor, settings.rows.count);
    tensor.data = nullptr;
  };
  for (auto* tensors : {&inputs_, &saved_, &d_inputs_})
    for (bp_tensor& tensor : *tensors) start(tensor);
  for (const std::size_t i : carried_) start(state_[i]);
  start(call_.output);
  start(call_.delta);
  for (bp_tensor& tensor : d_parameters_) tensor.data = nullptr;
  set_units(0, plan_.gradient_units);
  call_.flags = settings.is_training ? BP_CALL_TRAINING : 0;
  call_.step = settings.step;
  call_.sample_begin = settings.rows.begin;
  call_.samples = settings.rows.count;
  call_.batch_samples = settings.batch_rows;
  call_.random_key = settings.random_key;
  call_.lengths = nullptr;
  call_.forward_sums = nullptr;
  call_.backward_sums = nullptr;
}

void LayerCall::set_units(std::int64_t begin, std::int64_t end) {
  call_.unit_begin = begin;
  call_.unit_end = end;
  if (plan_.gradient_units > 0)
    for (const std::size_t i : declared_) resize(d_parameters_[i], end - begin);
}

void LayerCall::withhold_what_is_not_needed() {
  if ((plan_.needs & BP_NEEDS_INPUTS) == 0)
    for (bp_tensor& input : inputs_) input.data = nullptr;
  if ((plan_.needs & BP_NEEDS_OUTPUT) == 0) call_.output.data = nullptr;
}

void LayerCall::collect_forward(std::span<double> part) {
  std::ranges::fill(part, 0.0);
  call_.forward_sums = part.data();
  layer_.collect_forward(call_);
}

void LayerCall::collect_backward(std::span<double> part) {
  withhold_what_is_not_needed();
  std::ranges::fill(part, 0.0);
  call_.backward_sums = part.data();
  layer_.collect_backward(call_);
}

void LayerCall::backward() {
  withhold_what_is_not_needed();
  if (backward_saves_ || std::ranges::any_of(d_inputs_, is_there) || std::ranges::any_of(d_parameters_, is_there))
    layer_.backward(call_);
}

void LayerCall::gradient(std::int64_t unit_begin, std::int64_t unit_end) {
  withhold_what_is_not_needed();
  set_units(unit_begin, unit_end);
  layer_.backward(call_);
}

void LayerCall::pack(std::int64_t unit_begin, std::int64_t unit_end) {
  set_units(unit_begin, unit_end);
  layer_.pack(call_);
}

}  // namespace backplane
