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
  bp_tensor view(bool is_there = true) {
    return {.data = is_there ? buffer_.data() : nullptr,
            .dims = shape_.data(),
            .count = count(),
            .rank = static_cast<std::uint32_t>(shape_.size()),
            .dtype = static_cast<std::uint32_t>(dtype_)};
  }
  /// Rows [begin, begin + rows) of the first axis; until the next such call.
  bp_tensor view_rows(std::int64_t begin, std::int64_t rows, bool is_there = true) {
    const std::int64_t row = count() / shape_[0];
    rows_ = shape_;
    rows_[0] = rows;
    bp_tensor part = view(is_there);
    if (is_there) part.data = buffer_.as<std::byte>() + static_cast<std::size_t>(begin * row) * size_of(dtype_);
    part.dims = rows_.data();
    part.count = rows * row;
    return part;
  }

 private:
  Shape shape_, rows_;
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
        layer_(make(type, yaml, dtype)),
        plan_(layer_.plan(inputs)) {
    for (const Shape& shape : inputs) inputs_.push_back(per_sample(shape)), d_inputs_.push_back(per_sample(shape));
    for (const SavedTensor& saved : plan_.saved) saved_.push_back(per_sample(saved.sample_shape));
    for (std::uint32_t i = 0; i < layer_.type().parameter_count; ++i)
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
    prepared_ = Buffer(static_cast<std::size_t>(plan_.prepared) * size_of(dtype));
    workspace_ = Buffer(plan_.workspace_fixed + plan_.workspace_per_sample * static_cast<std::uint64_t>(samples));
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
    if (plan_.prepared > 0) {
      Call call = start({0, samples_});
      call.frame.unit_end = plan_.gradient_units;
      layer_.prepare(call.frame);
    }
    if (is_training_ && plan_.forward_sums > 0) {
      std::fill(forward_sums_.begin(), forward_sums_.end(), 0.0);
      for_each_slice([&](Rows rows) {
        Numbers part(forward_sums_.size(), 0.0);
        Call call = start(rows);
        call.frame.forward_sums = part.data();
        layer_.collect_forward(call.frame);
        add_to(forward_sums_, part);
      });
    }
    for_each_slice([&](Rows rows) {
      Call call = start(rows);
      layer_.forward(call.frame);
    });
    return output_->numbers();
  }
  /// What the host calls when a batch is done.
  void update_state() {
    Call call = start({0, samples_});
    layer_.update_state(call.frame);
  }

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
        Numbers part(backward_sums_.size(), 0.0);
        Call call = start_backward(rows);
        call.frame.backward_sums = part.data();
        layer_.collect_backward(call.frame);
        add_to(backward_sums_, part);
      });
    }
    for_each_slice([&](Rows rows) {
      Call call = start_backward(rows);
      ask(call, rows, wants_inputs_, wants_parameters_ && !has_two_passes);
      layer_.backward(call.frame);
    });
    if (has_two_passes && wants_parameters_) {
      const Rows all{0, samples_};
      Call wide = start_backward(all);
      ask(wide, all, false, true);
      wide.frame.unit_begin = unit_begin;
      wide.frame.unit_end = unit_end;
      layer_.backward(wide.frame);
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

  struct Rows {
    std::int64_t begin, count;
  };
  struct Call {
    std::vector<bp_tensor> inputs, parameters, saved, state, d_inputs, d_parameters;
    bp_call frame{};
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
  /// Every optional pointer is NULL.
  Call start(Rows rows) {
    Call call;
    const bp_tensor nothing{
        .data = nullptr, .dims = nullptr, .count = 0, .rank = 0, .dtype = static_cast<std::uint32_t>(dtype_)};
    const auto rows_of = [&](const Owned& tensor, bool is_there = true) {
      return tensor->view_rows(rows.begin, rows.count, is_there);
    };
    for (const Owned& tensor : inputs_) call.inputs.push_back(rows_of(tensor));
    for (const Owned& tensor : saved_) call.saved.push_back(rows_of(tensor));
    for (std::size_t i = 0; i < state_.size(); ++i)
      call.state.push_back(plan_.state[i].kind == BP_STATE_SHARED ? state_[i]->view() : rows_of(state_[i]));
    for (const Owned& tensor : parameters_) call.parameters.push_back(tensor ? tensor->view() : nothing);
    for (const Owned& tensor : d_inputs_) call.d_inputs.push_back(rows_of(tensor, false));
    for (const Owned& tensor : d_parameters_) call.d_parameters.push_back(tensor ? tensor->view(false) : nothing);
    bp_call& frame = call.frame;
    frame.struct_size = sizeof(bp_call);
    frame.flags = is_training_ ? BP_CALL_TRAINING : 0;
    frame.step = step_;
    frame.sample_begin = rows.begin;
    frame.samples = rows.count;
    frame.inputs = call.inputs.data();
    frame.parameters = call.parameters.data();
    frame.saved = call.saved.data();
    frame.prepared = prepared_.data();
    frame.output = rows_of(output_);
    frame.delta = rows_of(delta_);
    frame.d_inputs = call.d_inputs.data();
    frame.d_parameters = call.d_parameters.data();
    frame.workspace = workspace_.data();
    frame.workspace_bytes = workspace_.bytes();
    frame.batch_samples = samples_;
    frame.random_key = 0x5eed;
    frame.lengths = lengths_.empty() ? nullptr : lengths_.data() + rows.begin;
    frame.forward_sums = is_training_ ? forward_sums_.data() : nullptr;
    frame.backward_sums = is_training_ ? backward_sums_.data() : nullptr;
    frame.state = call.state.data();
    frame.input_count = static_cast<std::uint32_t>(call.inputs.size());
    return call;
  }
  /// What backward did not ask for is not there.
  Call start_backward(Rows rows) {
    Call call = start(rows);
    if ((plan_.needs & BP_NEEDS_INPUTS) == 0)
      for (bp_tensor& tensor : call.inputs) tensor.data = nullptr;
    if ((plan_.needs & BP_NEEDS_OUTPUT) == 0) call.frame.output.data = nullptr;
    return call;
  }
  void ask(Call& call, Rows rows, bool for_inputs, bool for_parameters) {
    for (std::size_t i = 0; i < d_inputs_.size(); ++i)
      call.d_inputs[i] = d_inputs_[i]->view_rows(rows.begin, rows.count, for_inputs);
    for (std::size_t i = 0; i < d_parameters_.size(); ++i)
      if (d_parameters_[i]) call.d_parameters[i] = d_parameters_[i]->view(for_parameters);
  }

  DType dtype_;
  std::int64_t samples_, slice_rows_;
  Layer layer_;
  LayerPlan plan_;
  std::vector<Owned> inputs_, d_inputs_, parameters_, d_parameters_, saved_, state_;
  std::vector<double> forward_sums_, backward_sums_;
  std::vector<std::int64_t> lengths_;
  bool is_training_ = true, wants_inputs_ = true, wants_parameters_ = true;
  std::uint64_t step_ = 1;
  Owned output_, delta_;
  Buffer prepared_, workspace_;
};

/// Tests that run in both element types: BP_IN_BOTH_TYPES(Conv) makes the suite Conv, whose TEST_P see dtype().
class InBothTypes : public ::testing::TestWithParam<DType> {
 protected:
  DType dtype() const { return GetParam(); }
};
#define BP_INSTANTIATE_IN_BOTH_TYPES(suite)                                                \
  INSTANTIATE_TEST_SUITE_P(Both, suite, ::testing::Values(DType::float32, DType::float64), \
                           [](const auto& info) { return std::string(name_of(info.param)); })
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
