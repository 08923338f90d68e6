#include "layer_run.h"

#include <algorithm>
#include <span>
#include <stdexcept>

#include "config/parse.h"
#include "config/schema.h"
#include "measure.h"
#include "plugin_host/attributes.h"

namespace backplane {

namespace {

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
    : what_(what),
      cut_(cut),
      layer_(make(registry, what)),
      plan_(layer_.plan(what.inputs)),
      call_(layer_, plan_, what.inputs, DType::float32) {
  for (const Shape& shape : what.inputs) {
    inputs_.push_back(per_sample(shape)), d_inputs_.push_back(per_sample(shape));
    if (what.indices > 0)
      for (std::int64_t i = 0; i < cut.N * element_count(shape); ++i)
        inputs_.back().buffer.as<float>()[i] = static_cast<float>(i * 7919 % what.indices);
  }
  for (const SavedTensor& saved : plan_.saved) saved_.push_back(per_sample(saved.sample_shape));
  output_ = per_sample(plan_.output), delta_ = per_sample(plan_.output);
  packed_ = filled(plan_.packed);
  ParameterSet parameters{.values = {}, .packed = packed_.data()};
  for (const PlannedParameter& planned : plan_.parameters) {
    parameters.values.push_back(parameters_.emplace_back(filled(element_count(planned.shape))).data());
    d_parameters_.push_back(filled(element_count(planned.shape)));
  }
  call_.use(parameters);
  for (const StateTensor& state : plan_.state) {
    if (state.kind != BP_STATE_SHARED) throw std::runtime_error(what.type + ": carried state is not provided for");
    Buffer& value = state_.emplace_back(filled(element_count(state.shape)));
    std::fill_n(value.as<float>(), element_count(state.shape), static_cast<float>(state.initial));
    call_.set_state(state_.size() - 1, value.data());
  }
  forward_sums_.resize(static_cast<std::size_t>(plan_.forward_sums));
  backward_sums_.resize(static_cast<std::size_t>(plan_.backward_sums));
  part_.resize(std::max(forward_sums_.size(), backward_sums_.size()));
  workspace_ = Buffer(plan_.workspace_bytes(cut.N));
  if (plan_.packed > 0) begin_call(0, 0).pack();
}

LayerRun::PerSample LayerRun::per_sample(const Shape& sample) const {
  return {filled(cut_.N * element_count(sample)), element_count(sample)};
}

LayerCall& LayerRun::begin_call(std::int64_t begin, std::int64_t rows) {
  call_.begin({.rows = {begin, rows}, .batch_rows = cut_.N, .step = 1, .is_training = true, .random_key = 0x5eed});
  for (std::size_t i = 0; i < inputs_.size(); ++i) call_.set_input(i, inputs_[i].row(begin));
  for (std::size_t i = 0; i < saved_.size(); ++i) call_.set_saved(i, saved_[i].row(begin));
  call_.set_output(output_.row(begin));
  call_.set_delta(delta_.row(begin));
  call_.set_workspace(workspace_.data(), workspace_.bytes());
  if (plan_.has_batch_sums()) call_.set_batch_sums(forward_sums_.data(), backward_sums_.data());
  return call_;
}

void LayerRun::want_d_parameters() {
  for (std::size_t p = 0; p < d_parameters_.size(); ++p) call_.want_d_parameter(p, d_parameters_[p].data());
}

void LayerRun::collect_forward(std::int64_t begin, std::int64_t rows) {
  if (plan_.forward_sums == 0) return;
  if (begin == 0) std::fill(forward_sums_.begin(), forward_sums_.end(), 0.0);
  const std::span part(part_.data(), forward_sums_.size());
  begin_call(begin, rows).collect_forward(part);
  for (std::size_t i = 0; i < part.size(); ++i) forward_sums_[i] += part[i];
}

void LayerRun::forward(std::int64_t begin, std::int64_t rows) {
  begin_call(begin, rows).forward();
}

void LayerRun::collect_backward(std::int64_t begin, std::int64_t rows) {
  if (plan_.backward_sums == 0) return;
  if (begin == 0) std::fill(backward_sums_.begin(), backward_sums_.end(), 0.0);
  const std::span part(part_.data(), backward_sums_.size());
  begin_call(begin, rows).collect_backward(part);
  for (std::size_t i = 0; i < part.size(); ++i) backward_sums_[i] += part[i];
}

void LayerRun::backward(std::int64_t begin, std::int64_t rows) {
  begin_call(begin, rows);
  for (std::size_t i = 0; i < d_inputs_.size(); ++i) call_.want_d_input(i, d_inputs_[i].row(begin));
  if (!has_weights()) want_d_parameters();
  call_.backward();
}

void LayerRun::weights() {
  if (plan_.gradient_units > 0)
    Cut::for_each_tile(plan_.gradient_units, [&](std::int64_t begin, std::int64_t end) {
      begin_call(0, cut_.N);
      for (std::size_t p = 0; p < d_parameters_.size(); ++p)
        call_.want_d_parameter(p, d_parameters_[p].as<float>() +
                                      begin * (element_count(plan_.parameters[p].shape) / plan_.gradient_units));
      call_.gradient(begin, end);
    });
  else if (what_.is_split)
    cut_.for_each_slice([&](std::int64_t begin, std::int64_t rows) {
      begin_call(begin, rows);
      want_d_parameters();
      call_.backward();
    });
}

}  // namespace backplane
