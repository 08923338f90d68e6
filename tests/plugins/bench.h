#pragma once

// One layer or activation on the bench: made as the host makes it, called with numbers written in the test.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/parse.h"
#include "config/schema.h"
#include "layer_pass/layer_call.h"
#include "plugin_host/attributes.h"
#include "plugin_host/layer.h"
#include "plugin_host/registry.h"
#include "support/model.h"
#include "support/paths.h"

namespace backplane::testing {

using Numbers = std::vector<double>;

/// The built-in plug-ins and the good ones of this folder, loaded once for all tests of the process.
inline const Registry& all_plugins() {
  static const Registry registry = [] {
    Registry loaded;
    load_folder(loaded, kPluginFolder);
    load_folder(loaded, kGoodPluginFolder);
    return loaded;
  }();
  return registry;
}

/// The attributes written as YAML, with every default filled in.
template <class Type>
config::Node attributes_of(const Type& type, const std::string& yaml) {
  config::Schema schema = config::Schema::map();
  add_attributes(schema, type.attributes, type.attribute_count);
  return config::validate(config::parse_value(yaml, "test"), schema);
}

/// An activation by its name.
inline Activation make_activation(const std::string& name, DType dtype, const std::string& yaml = "{}") {
  const auto found = all_plugins().find_activation(name);
  if (found.type == nullptr) throw std::runtime_error("no activation " + name);
  return Activation(*found.type, *found.plugin, attributes_of(*found.type, yaml), dtype);
}

/// A tensor of one call, kept in the layer's own element type, read and written as double.
class BenchTensor {
 public:
  BenchTensor(Shape shape, DType dtype) : shape_(std::move(shape)), dtype_(dtype) {
    // Floating-point rubbish, so that a result that was never written, or added to instead of written, shows.
    buffer_ = Buffer(static_cast<std::size_t>(count()) * size_of(dtype));
    set(Numbers(static_cast<std::size_t>(count()), kRubbish));
  }
  static constexpr double kRubbish = -777.0;

  std::int64_t count() const { return element_count(shape_); }
  void set(const Numbers& numbers) {
    ASSERT_EQ(static_cast<std::int64_t>(numbers.size()), count());
    dispatch(dtype_, [&]<class T>(T) {
      std::transform(numbers.begin(), numbers.end(), buffer_.as<T>(), [](double x) { return static_cast<T>(x); });
    });
  }
  Numbers numbers() const { return widened(buffer_.data(), count(), dtype_); }
  /// Where row `i` of the first axis begins.
  void* row(std::int64_t i) {
    const std::int64_t size = shape_.empty() ? 1 : count() / shape_[0];
    return buffer_.as<std::byte>() + static_cast<std::size_t>(i * size) * size_of(dtype_);
  }

 private:
  Shape shape_;
  DType dtype_;
  Buffer buffer_;
};

/// A layer with the tensors of a batch of `samples`. All outputs start as rubbish, parameter gradients as `added_to`.
class LayerBench {
 public:
  LayerBench(const std::string& type, const std::string& yaml, std::vector<Shape> inputs, std::int64_t samples,
             DType dtype)
      : dtype_(dtype),
        samples_(samples),
        slice_rows_(samples),
        planned_(std::make_unique<Planned>(make(type, yaml, dtype), inputs, dtype)) {
    for (const Shape& shape : inputs) inputs_.push_back(per_sample(shape)), d_inputs_.push_back(per_sample(shape));
    for (const SavedTensor& saved : plan_.saved) saved_.push_back(per_sample(saved.sample_shape));
    for (std::uint32_t i = 0; i < planned_->layer.type().parameter_count; ++i)
      parameters_.emplace_back(), d_parameters_.emplace_back();
    for (const PlannedParameter& planned : plan_.parameters) {
      const auto i = static_cast<std::size_t>(planned.declared);
      parameters_[i] = std::make_unique<BenchTensor>(planned.shape, dtype);
      d_parameters_[i] = std::make_unique<BenchTensor>(planned.shape, dtype);
    }
    for (const StateTensor& state : plan_.state) {
      const bool is_shared = state.kind == BP_STATE_SHARED;
      state_.push_back(is_shared ? std::make_unique<BenchTensor>(state.shape, dtype) : per_sample(state.shape));
      state_.back()->set(Numbers(static_cast<std::size_t>(state_.back()->count()), state.initial));
    }
    forward_sums_.resize(static_cast<std::size_t>(plan_.forward_sums));
    backward_sums_.resize(static_cast<std::size_t>(plan_.backward_sums));
    output_ = per_sample(plan_.output);
    delta_ = per_sample(plan_.output);
    packed_ = Buffer(static_cast<std::size_t>(plan_.packed) * size_of(dtype));
    workspace_ = Buffer(plan_.workspace_bytes(samples));
  }

  const LayerPlan& plan() const { return plan_; }
  std::int64_t samples() const { return samples_; }
  std::size_t input_count() const { return inputs_.size(); }
  /// Elements of input i, all samples together.
  std::int64_t input_size(std::size_t i) const { return inputs_[i]->count(); }
  LayerBench& input(std::size_t i, const Numbers& numbers) { return inputs_[i]->set(numbers), *this; }
  LayerBench& parameter(std::size_t i, const Numbers& numbers) { return parameters_[i]->set(numbers), *this; }

  /// Valid steps of each sample.
  LayerBench& lengths(const std::vector<std::int64_t>& steps) { return lengths_ = steps, *this; }
  /// As in evaluation instead of training.
  LayerBench& in_evaluation() { return is_training_ = false, *this; }
  /// Cuts the batch into calls of that many samples, as the host does; without it, one call.
  LayerBench& in_slices_of(std::int64_t rows) { return slice_rows_ = rows, *this; }
  /// What backward is asked for; without it, everything. What is not wanted is NULL, and reads as rubbish or 0.
  LayerBench& wanting(bool inputs, bool parameters) {
    return wants_inputs_ = inputs, wants_parameters_ = parameters, *this;
  }
  LayerBench& at_step(std::uint64_t step) { return step_ = step, *this; }
  LayerBench& state(std::size_t i, const Numbers& numbers) { return state_[i]->set(numbers), *this; }
  Numbers state(std::size_t i) const { return state_[i]->numbers(); }
  Numbers saved(std::size_t i) const { return saved_[i]->numbers(); }

  /// z
  Numbers forward() {
    if (plan_.packed > 0) begin_call({0, samples_}).pack();
    if (is_training_ && plan_.forward_sums > 0) {
      std::fill(forward_sums_.begin(), forward_sums_.end(), 0.0);
      for_each_slice([&](Rows rows) {
        Numbers part(forward_sums_.size());
        begin_call(rows).collect_forward(part);
        add_to(forward_sums_, part);
      });
    }
    for_each_slice([&](Rows rows) { begin_call(rows).forward(); });
    return output_->numbers();
  }
  /// What the host calls when a batch is done.
  void update_state() { begin_call({0, samples_}).update_state(); }

  struct Gradients {
    std::vector<Numbers> inputs, parameters;  ///< parameters: what was added to 100, or written over it
  };
  /// One call that is asked for everything.
  Gradients backward(const Numbers& delta) { return backward(delta, 0, plan_.gradient_units); }
  /// Likewise, parameters' gradients of a range of units only.
  Gradients backward(const Numbers& delta, std::int64_t unit_begin, std::int64_t unit_end) {
    delta_->set(delta);
    for (auto& d_parameter : d_parameters_)
      if (d_parameter) d_parameter->set(Numbers(static_cast<std::size_t>(d_parameter->count()), kAddedTo));
    const bool has_two_passes = plan_.gradient_units > 0;
    if (is_training_ && plan_.backward_sums > 0) {
      std::fill(backward_sums_.begin(), backward_sums_.end(), 0.0);
      for_each_slice([&](Rows rows) {
        Numbers part(backward_sums_.size());
        begin_call(rows).collect_backward(part);
        add_to(backward_sums_, part);
      });
    }
    for_each_slice([&](Rows rows) {
      LayerCall& call = begin_call(rows);
      for (std::size_t i = 0; wants_inputs_ && i < d_inputs_.size(); ++i)
        call.want_d_input(i, d_inputs_[i]->row(rows.begin));
      if (wants_parameters_ && !has_two_passes) want_d_parameters(0);
      call.backward();
    });
    if (has_two_passes && wants_parameters_) {
      LayerCall& call = begin_call({0, samples_});
      want_d_parameters(unit_begin);
      call.gradient(unit_begin, unit_end);
    }
    Gradients result;
    for (const auto& d_input : d_inputs_) result.inputs.push_back(d_input->numbers());
    for (const auto& d_parameter : d_parameters_) {
      result.parameters.push_back(d_parameter ? d_parameter->numbers() : Numbers());
      // What is written replaces it, and what nobody asked for is as it was.
      for (double& number : result.parameters.back())
        if (!plan_.writes_gradients || number == kAddedTo) number -= kAddedTo;
    }
    return result;
  }

 private:
  static constexpr double kAddedTo = 100.0;
  using Owned = std::unique_ptr<BenchTensor>;

  /// Stays where it is when the bench is moved: the call refers to the layer.
  struct Planned {
    Planned(Layer made, const std::vector<Shape>& inputs, DType dtype)
        : layer(std::move(made)), plan(layer.plan(inputs)), call(layer, plan, inputs, dtype) {}
    Layer layer;
    LayerPlan plan;
    LayerCall call;
  };

  static Layer make(const std::string& type, const std::string& yaml, DType dtype) {
    const auto found = all_plugins().find_layer(type);
    if (found.type == nullptr) throw std::runtime_error("no layer type " + type);
    return Layer(*found.type, *found.plugin, "bench", attributes_of(*found.type, yaml), dtype);
  }
  Owned per_sample(Shape shape) const {
    shape.insert(shape.begin(), samples_);
    return std::make_unique<BenchTensor>(std::move(shape), dtype_);
  }
  template <class Body>
  void for_each_slice(Body body) const {
    for (std::int64_t begin = 0; begin < samples_; begin += slice_rows_)
      body(Rows{begin, std::min(slice_rows_, samples_ - begin)});
  }
  static void add_to(Numbers& sums, const Numbers& part) {
    std::transform(sums.begin(), sums.end(), part.begin(), sums.begin(), std::plus<>());
  }
  /// A call on these rows with every tensor of the layer; what backward is asked for comes behind.
  LayerCall& begin_call(Rows rows) {
    ParameterSet parameters{.values = {}, .packed = packed_.data()};
    for (const PlannedParameter& planned : plan_.parameters)
      parameters.values.push_back(parameters_[static_cast<std::size_t>(planned.declared)]->row(0));
    call_.use(parameters);
    call_.begin(
        {.rows = rows, .batch_rows = samples_, .step = step_, .is_training = is_training_, .random_key = 0x5eed});
    for (std::size_t i = 0; i < inputs_.size(); ++i) call_.set_input(i, inputs_[i]->row(rows.begin));
    for (std::size_t i = 0; i < saved_.size(); ++i) call_.set_saved(i, saved_[i]->row(rows.begin));
    for (std::size_t i = 0; i < state_.size(); ++i)
      call_.set_state(i, state_[i]->row(plan_.state[i].kind == BP_STATE_SHARED ? 0 : rows.begin));
    call_.set_output(output_->row(rows.begin));
    call_.set_delta(delta_->row(rows.begin));
    call_.set_workspace(workspace_.data(), workspace_.bytes());
    if (!lengths_.empty()) call_.set_lengths(lengths_.data() + rows.begin);
    if (is_training_ && plan_.has_batch_sums()) call_.set_batch_sums(forward_sums_.data(), backward_sums_.data());
    return call_;
  }
  void want_d_parameters(std::int64_t unit_begin) {
    for (std::size_t p = 0; p < plan_.parameters.size(); ++p)
      call_.want_d_parameter(p, d_parameters_[static_cast<std::size_t>(plan_.parameters[p].declared)]->row(unit_begin));
  }

  DType dtype_;
  std::int64_t samples_, slice_rows_;
  std::unique_ptr<Planned> planned_;
  const LayerPlan& plan_ = planned_->plan;
  LayerCall& call_ = planned_->call;
  std::vector<Owned> inputs_, d_inputs_, parameters_, d_parameters_, saved_, state_;
  std::vector<double> forward_sums_, backward_sums_;
  std::vector<std::int64_t> lengths_;
  bool is_training_ = true, wants_inputs_ = true, wants_parameters_ = true;
  std::uint64_t step_ = 1;
  Owned output_, delta_;
  Buffer packed_, workspace_;
};

/// Tests that run in both element types: BP_IN_BOTH_TYPES(Conv) makes the suite Conv, whose TEST_P see dtype().
class InBothTypes : public ::testing::TestWithParam<DType> {
 protected:
  DType dtype() const { return GetParam(); }
};
#define BP_INSTANTIATE_IN_BOTH_TYPES(suite)                                                \
  INSTANTIATE_TEST_SUITE_P(Both, suite, ::testing::Values(DType::float32, DType::float64), \
                           [](const auto& test) { return std::string(name_of(test.param)); })
#define BP_IN_BOTH_TYPES(suite)                              \
  class suite : public ::backplane::testing::InBothTypes {}; \
  BP_INSTANTIATE_IN_BOTH_TYPES(suite)

/// Equal to within `ulps` units in the last place of `dtype` (of the larger value, or of 1 for smaller ones).
inline void expect_near(const Numbers& got, const Numbers& want, DType dtype, double ulps = 4.0) {
  ASSERT_EQ(got.size(), want.size());
  const double epsilon = dtype == DType::float32 ? 1.1920929e-7 : 2.220446049250313e-16;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << "element " << i << ": " << got[i];
    } else if (!std::isfinite(want[i])) {
      EXPECT_EQ(got[i], want[i]) << "element " << i;
    } else {
      EXPECT_NEAR(got[i], want[i], ulps * epsilon * std::max(1.0, std::abs(want[i]))) << "element " << i;
    }
  }
}

}  // namespace backplane::testing
