#include "conv/convolution.h"

namespace conv {

namespace kernels = backplane::kernels;
using kernels::Convolution;

namespace {

enum Parameter : std::uint32_t { kW, kB };

/// Throws bp::Error where the groups do not divide the channels.
void check_groups(std::int64_t inputs, std::int64_t outputs, std::int64_t groups) {
  const auto check = [&](std::int64_t channels, const char* which) {
    if (channels % groups != 0)
      throw bp::Error(std::to_string(channels) + " " + which + " channels cannot be divided into " +
                      std::to_string(groups) + " groups");
  };
  check(inputs, "input");
  check(outputs, "output");
}

/// Works for Conv2d and Conv1d alike.
template <class Layer>
Convolution shape_of(const Layer& layer, Kind kind, const Sample& sample) {
  const auto [height, width] = axes_of(kind, {layer.kernel, layer.stride, layer.dilation, layer.padding}, sample);
  return {
      .inputs = sample.channels, .outputs = layer.filters, .groups = layer.groups, .height = height, .width = width};
}

/// What every convolution needs besides shapes of its own: prepared weights, scratch memory, inputs in backward.
void plan_kernels(bp::Plan& plan, const Convolution& shape) {
  plan.needs_inputs();
  if (plan.dtype() == BP_F32) {
    plan.prepared(kernels::convolution_packed_elements<float>(shape));
    plan.workspace(kernels::convolution_workspace_bytes<float>(shape), 0);
  } else {
    plan.prepared(kernels::convolution_packed_elements<double>(shape));
    plan.workspace(kernels::convolution_workspace_bytes<double>(shape), 0);
  }
}

template <class Layer>
void plan_layer(const Layer& layer, Kind kind, bp::Plan& plan) {
  const Sample sample = sample_of(kind, plan.input(0));
  check_groups(sample.channels, layer.filters, layer.groups);
  const Convolution shape = shape_of(layer, kind, sample);
  const bp::Dims output = dims_of(kind, shape.height.out, shape.width.out, layer.filters);
  bp::Dims W{layer.filters, shape.group_inputs(), shape.height.kernel, shape.width.kernel};
  if (kind == Kind::sequence) W.erase(W.begin() + 2);
  check_size("the input", dims_of(kind, sample.height, sample.width, sample.channels));
  check_size("the output", output);
  check_size("W", W);
  const std::int64_t fan_in = shape.group_inputs() * shape.taps(), fan_out = shape.group_outputs() * shape.taps();
  plan.output(output);
  plan.parameter(kW, W, fan_in, fan_out);
  if (layer.bias) plan.parameter(kB, {layer.filters}, fan_in, fan_out);
  plan_kernels(plan, shape);
}

template <class T>
void forward_of(const Convolution& shape, const bp::Call<T>& call) {
  kernels::convolution_forward<T>(shape, call.samples(), call.input(0).data(), call.prepared(),
                                  call.parameter(kB).data(), call.output().data(), call.workspace());
}

template <class T>
void backward_of(const Convolution& shape, const bp::Call<T>& call) {
  // forward was:  z = W ∗ a + b
  const std::int64_t N = call.samples();
  const T* delta = call.delta().data();
  if (const auto d_a = call.d_input(0))  // ∂C/∂a = Σ W·δ
    kernels::convolution_backward_inputs<T>(shape, N, delta, call.prepared(), d_a.data(), call.workspace());
  if (const auto d_W = call.d_parameter(kW))  // ∂C/∂W += Σ δ·a
    kernels::convolution_backward_weights<T>(shape, N, call.input(0).data(), delta, d_W.data(), call.workspace());
  if (const auto d_b = call.d_parameter(kB))  // ∂C/∂b += Σ δ
    kernels::convolution_backward_bias<T>(N, shape.output_pixels(), shape.outputs, delta, d_b.data());
}

}  // namespace

void Conv2d::describe(bp::About<Conv2d>& about) {
  about.name("conv2d").summary("convolution of images [H, W, C]: z = W ∗ a + b");
  about.attribute("filters", &Conv2d::filters, "number of output channels O").required().at_least(1).at_most(1 << 20);
  about.attribute("kernel", &Conv2d::kernel, "[both] or [height, width]").required().at_least(1).at_most(kLargest);
  about.attribute("stride", &Conv2d::stride, "step from window to window").at_least(1).at_most(kLargest);
  about.attribute("dilation", &Conv2d::dilation, "places from tap to tap").at_least(1).at_most(kLargest);
  about.attribute("padding", &Conv2d::padding, "valid, same, a number, or \"height,width\"");
  about.attribute("groups", &Conv2d::groups, "channels are divided into so many groups; C: depthwise")
      .at_least(1)
      .at_most(1 << 20);
  about.attribute("bias", &Conv2d::bias, "whether b is added");
  about.parameter("W", "weight", "weights (O, I/groups, KH, KW)", "he_uniform");
  about.parameter("b", "bias", "bias (O)", "zeros");
}

void Conv2d::plan(bp::Plan& plan) const {
  plan_layer(*this, Kind::image, plan);
}

template <class T>
void Conv2d::prepare(const bp::Call<T>& call) const {
  kernels::convolution_pack<T>(shape_of(*this, Kind::image, sample_of(call.input(0))), call.parameter(kW).data(),
                               call.prepared());
}

template <class T>
void Conv2d::forward(const bp::Call<T>& call) const {
  forward_of(shape_of(*this, Kind::image, sample_of(call.input(0))), call);
}

template <class T>
void Conv2d::backward(const bp::Call<T>& call) const {
  backward_of(shape_of(*this, Kind::image, sample_of(call.input(0))), call);
}

template void Conv2d::prepare<float>(const bp::Call<float>&) const;
template void Conv2d::prepare<double>(const bp::Call<double>&) const;
template void Conv2d::forward<float>(const bp::Call<float>&) const;
template void Conv2d::forward<double>(const bp::Call<double>&) const;
template void Conv2d::backward<float>(const bp::Call<float>&) const;
template void Conv2d::backward<double>(const bp::Call<double>&) const;

}  // namespace conv
