#include "layer_run.h"

#include <algorithm>
#include <stdexcept>

#include "config/parse.h"
#include "config/schema.h"
#include "measure.h"
#include "plugin_host/attributes.h"

namespace backplane {

namespace {

constexpr bp_tensor kNothing{.data = nullptr, .dims = nullptr, .count = 0, .rank = 0, .dtype = BP_F32};

Layer make(const Registry& registry, const LayerCase& what) {
  const auto found = registry.find_layer(what.type);
  if (found.type == nullptr) throw std::runtime_error("no layer type " + what.type);
  config::Schema schema = config::Schema::map();
  add_attributes(schema, found.type->attributes, found.type->attribute_count);
  const auto yaml = config::parse_value(what.attributes, "benchmark");
  return Layer(*found.type, *found.plugin, what.type, config::validate(yaml, schema), DType::float32);
}

}  // namespace

LayerRun::LayerRun(const Registry& registry, const LayerCase& what, const Cut& cut)
    : what_(what), cut_(cut), layer_(make(registry, what)), plan_(layer_.plan(what.inputs)) {
  for (const Shape& shape : what.inputs) {
    inputs_.push_back(per_sample(shape)), d_inputs_.push_back(per_sample(shape));
    if (what.indices > 0)
      for (std::int64_t i = 0; i < cut.N * element_count(shape); ++i)
        inputs_.back().buffer.as<float>()[i] = static_cast<float>(i * 7919 % what.indices);
  }
  for (const SavedTensor& saved : plan_.saved) saved_.push_back(per_sample(saved.sample_shape));
  output_ = per_sample(plan_.output), delta_ = per_sample(plan_.output);
  parameters_.resize(layer_.type().parameter_count, kNothing);
  d_parameters_ = parameters_;
  for (const PlannedParameter& planned : plan_.parameters) {
    parameters_[static_cast<std::size_t>(planned.declared)] = whole(planned.shape);
    d_parameters_[static_cast<std::size_t>(planned.declared)] = whole(planned.shape);
  }
  for (const StateTensor& state : plan_.state) {
    if (state.kind != BP_STATE_SHARED) throw std::runtime_error(what.type + ": carried state is not provided for");
    state_.push_back(whole(state.shape));
    std::fill_n(static_cast<float*>(state_.back().data), state_.back().count, static_cast<float>(state.initial));
  }
  forward_sums_.resize(static_cast<std::size_t>(plan_.forward_sums));
  backward_sums_.resize(static_cast<std::size_t>(plan_.backward_sums));
  prepared_ = filled(plan_.prepared);
  workspace_ = Buffer(plan_.workspace_fixed + plan_.workspace_per_sample * static_cast<std::uint64_t>(cut.N));
  cut.for_each_slice([&](std::int64_t begin, std::int64_t rows) {
    slices_.push_back(call(begin, rows, true, !has_weights()));
    parameter_slices_.push_back(call(begin, rows, false, true));
  });
  tile_ = call(0, cut.N, false, true);
  if (plan_.prepared > 0) layer_.prepare(tile_->frame);
}

LayerRun::PerSample LayerRun::per_sample(const Shape& sample) const {
  return {filled(cut_.N * element_count(sample)), sample};
}

bp_tensor LayerRun::whole(const Shape& shape) {
  dims_.push_back(shape);
  memory_.push_back(filled(element_count(shape)));
  return {.data = memory_.back().data(),
          .dims = dims_.back().data(),
          .count = element_count(shape),
          .rank = static_cast<std::uint32_t>(shape.size()),
          .dtype = BP_F32};
}

std::unique_ptr<LayerRun::Call> LayerRun::call(std::int64_t begin, std::int64_t rows, bool wants_inputs,
                                               bool wants_parameters) {
  auto made = std::make_unique<Call>();
  const auto rows_of = [&](PerSample& tensor, bool is_there = true) {
    made->dims.push_back(tensor.sample);
    made->dims.back().insert(made->dims.back().begin(), rows);
    const std::int64_t size = element_count(tensor.sample);
    return bp_tensor{.data = is_there ? tensor.buffer.as<float>() + begin * size : nullptr,
                     .dims = made->dims.back().data(),
                     .count = rows * size,
                     .rank = static_cast<std::uint32_t>(made->dims.back().size()),
                     .dtype = BP_F32};
  };
  for (PerSample& tensor : inputs_) made->inputs.push_back(rows_of(tensor));
  for (PerSample& tensor : saved_) made->saved.push_back(rows_of(tensor));
  for (PerSample& tensor : d_inputs_) made->d_inputs.push_back(rows_of(tensor, wants_inputs));
  made->d_parameters = wants_parameters ? d_parameters_ : std::vector<bp_tensor>(d_parameters_.size(), kNothing);
  bp_call& frame = made->frame;
  frame.struct_size = sizeof(bp_call);
  frame.flags = BP_CALL_TRAINING;
  frame.step = 1;
  frame.sample_begin = begin;
  frame.samples = rows;
  frame.unit_end = plan_.gradient_units;
  frame.inputs = made->inputs.data();
  frame.parameters = parameters_.data();
  frame.saved = made->saved.data();
  frame.prepared = prepared_.data();
  frame.output = rows_of(output_);
  frame.delta = rows_of(delta_);
  frame.d_inputs = made->d_inputs.data();
  frame.d_parameters = made->d_parameters.data();
  frame.workspace = workspace_.data();
  frame.workspace_bytes = workspace_.bytes();
  frame.batch_samples = cut_.N;
  frame.random_key = 0x5eed;
  frame.forward_sums = forward_sums_.data();
  frame.backward_sums = backward_sums_.data();
  frame.state = state_.data();
  frame.input_count = static_cast<std::uint32_t>(inputs_.size());
  return made;
}

// One thread adds slice after slice to the same sums, which come out as the executor's total.
void LayerRun::collect_forward(std::int64_t begin, std::int64_t) {
  if (begin == 0) std::fill(forward_sums_.begin(), forward_sums_.end(), 0.0);
  if (plan_.forward_sums > 0) layer_.collect_forward(slice(slices_, begin));
}

void LayerRun::forward(std::int64_t begin, std::int64_t) {
  layer_.forward(slice(slices_, begin));
}

void LayerRun::collect_backward(std::int64_t begin, std::int64_t) {
  if (begin == 0) std::fill(backward_sums_.begin(), backward_sums_.end(), 0.0);
  if (plan_.backward_sums > 0) layer_.collect_backward(slice(slices_, begin));
}

void LayerRun::backward(std::int64_t begin, std::int64_t) {
  layer_.backward(slice(slices_, begin));
}

void LayerRun::weights() {
  if (plan_.gradient_units > 0)
    Cut::for_each_tile(plan_.gradient_units, [&](std::int64_t begin, std::int64_t end) {
      tile_->frame.unit_begin = begin;
      tile_->frame.unit_end = end;
      layer_.backward(tile_->frame);
    });
  else if (what_.is_split)
    for (const auto& made : parameter_slices_) layer_.backward(made->frame);
}

}  // namespace backplane
