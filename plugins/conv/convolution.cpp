#include "conv/convolution.h"

#include <utility>

#include "kernels/elementwise.h"

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

/// What every convolution needs besides shapes of its own: packed weights, scratch memory, inputs in backward.
void plan_kernels(bp::Plan& plan, const Convolution& shape) {
  plan.needs_inputs();
  plan.full_speed_samples(2);
  if (plan.dtype() == BP_F32) {
    plan.packed(kernels::convolution_packed_elements<float>(shape));
    plan.workspace(kernels::convolution_workspace_bytes<float>(shape), 0);
  } else {
    plan.packed(kernels::convolution_packed_elements<double>(shape));
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
  kernels::convolution_forward<T>(shape, call.samples(), call.input(0).data(), call.packed(), call.parameter(kB).data(),
                                  call.output().data(), call.workspace());
}

template <class T>
void backward_of(const Convolution& shape, const bp::Call<T>& call) {
  // forward was:  z = W ∗ a + b
  const std::int64_t N = call.samples();
  const T* delta = call.delta().data();
  if (const auto d_a = call.d_input(0))  // ∂C/∂a = Σ W·δ
    kernels::convolution_backward_inputs<T>(shape, N, delta, call.packed(), d_a.data(), call.workspace());
  const auto d_W = call.d_parameter(kW), d_b = call.d_parameter(kB);
  if (d_W)  // ∂C/∂W += Σ δ·a     ∂C/∂b += Σ δ
    kernels::convolution_backward_weights<T>(shape, N, call.input(0).data(), delta, d_W.data(), d_b.data(),
                                             call.workspace());
  else if (d_b)
    kernels::convolution_backward_bias<T>(N, shape.output_pixels(), shape.outputs, delta, d_b.data());
}

template <class Layer>
void describe_windows(bp::About<Layer>& about, const char* kernel) {
  about.attribute("kernel", &Layer::kernel, kernel).required().at_least(1).at_most(kLargest);
  about.attribute("stride", &Layer::stride, "step from window to window").at_least(1).at_most(kLargest);
  about.attribute("dilation", &Layer::dilation, "places from tap to tap").at_least(1).at_most(kLargest);
}

template <class Layer>
void describe_groups(bp::About<Layer>& about) {
  about.attribute("groups", &Layer::groups, "channels are divided into so many groups; as many as inputs: depthwise")
      .at_least(1)
      .at_most(1 << 20);
  about.attribute("bias", &Layer::bias, "whether b is added");
}

/// The Conv2d whose directions a transposed convolution exchanges: its input is our output. Throws bp::Error where
/// the output would be empty.
Convolution reversed(const ConvTranspose2d& layer, const Sample& sample) {
  for (const auto& [name, list] :
       {std::pair("kernel", &layer.kernel), std::pair("stride", &layer.stride), std::pair("dilation", &layer.dilation),
        std::pair("output_padding", &layer.output_padding)})
    check_items(Kind::image, name, *list);
  const auto padding = padding_numbers(Kind::image, layer.padding, "valid");
  const std::array<std::int64_t, 2> extents{sample.height, sample.width};
  std::array<Axis, 2> axes;
  for (std::size_t i = 0; i < 2; ++i) {
    Axis& axis = axes[i];
    const std::int64_t more = item(layer.output_padding, i);
    axis = {.out = extents[i],
            .kernel = item(layer.kernel, i),
            .stride = item(layer.stride, i),
            .dilation = item(layer.dilation, i),
            .before = padding[i],
            .after = padding[i]};
    if (more >= axis.stride)
      throw bp::Error("output_padding " + std::to_string(more) + " is not smaller than the stride " +
                      std::to_string(axis.stride));
    axis.in = (axis.out - 1) * axis.stride - 2 * padding[i] + axis.extent() + more;
    if (axis.in < 1)
      throw bp::Error("padding " + layer.padding + " leaves nothing of the output (input " +
                      text_of(Kind::image, sample) + ")");
  }
  return {
      .inputs = layer.filters, .outputs = sample.channels, .groups = layer.groups, .height = axes[0], .width = axes[1]};
}

}  // namespace

void Conv2d::describe(bp::About<Conv2d>& about) {
  about.name("conv2d").summary("convolution of images [H, W, C]: z = W ∗ a + b");
  about.attribute("filters", &Conv2d::filters, "number of output channels O").required().at_least(1).at_most(1 << 20);
  describe_windows(about, "[both] or [height, width]");
  about.attribute("padding", &Conv2d::padding, "valid, same, a number, or \"height,width\"");
  describe_groups(about);
  about.parameter("W", "weight", "weights (O, I/groups, KH, KW)", "he_uniform");
  about.parameter("b", "bias", "bias (O)", "zeros");
}

void Conv2d::plan(bp::Plan& plan) const {
  plan_layer(*this, Kind::image, plan);
}

template <class T>
void Conv2d::pack(const bp::Call<T>& call) const {
  kernels::convolution_pack<T>(shape_of(*this, Kind::image, sample_of(call.input(0))), call.parameter(kW).data(),
                               call.packed());
}

template <class T>
void Conv2d::forward(const bp::Call<T>& call) const {
  forward_of(shape_of(*this, Kind::image, sample_of(call.input(0))), call);
}

template <class T>
void Conv2d::backward(const bp::Call<T>& call) const {
  backward_of(shape_of(*this, Kind::image, sample_of(call.input(0))), call);
}

void Conv1d::describe(bp::About<Conv1d>& about) {
  about.name("conv1d").summary("convolution of sequences [T, F]: z = W ∗ a + b");
  about.attribute("filters", &Conv1d::filters, "number of output channels O").required().at_least(1).at_most(1 << 20);
  describe_windows(about, "[taps]");
  about.attribute("padding", &Conv1d::padding, "valid, same, causal, or a number");
  describe_groups(about);
  about.parameter("W", "weight", "weights (O, I/groups, K)", "he_uniform");
  about.parameter("b", "bias", "bias (O)", "zeros");
}

void Conv1d::plan(bp::Plan& plan) const {
  plan_layer(*this, Kind::sequence, plan);
}

template <class T>
void Conv1d::pack(const bp::Call<T>& call) const {
  kernels::convolution_pack<T>(shape_of(*this, Kind::sequence, sample_of(call.input(0))), call.parameter(kW).data(),
                               call.packed());
}

template <class T>
void Conv1d::forward(const bp::Call<T>& call) const {
  forward_of(shape_of(*this, Kind::sequence, sample_of(call.input(0))), call);
}

template <class T>
void Conv1d::backward(const bp::Call<T>& call) const {
  backward_of(shape_of(*this, Kind::sequence, sample_of(call.input(0))), call);
}

void ConvTranspose2d::describe(bp::About<ConvTranspose2d>& about) {
  about.name("conv_transpose2d").summary("transposed convolution of images [H, W, C]: z = Wᵀ ∗ a + b");
  about.attribute("filters", &ConvTranspose2d::filters, "number of output channels O")
      .required()
      .at_least(1)
      .at_most(1 << 20);
  describe_windows(about, "[both] or [height, width]");
  about.attribute("padding", &ConvTranspose2d::padding, "valid, a number, or \"height,width\": cut off the output");
  about.attribute("output_padding", &ConvTranspose2d::output_padding, "rows and columns added behind the output")
      .at_least(0)
      .at_most(kLargest);
  describe_groups(about);
  about.parameter("W", "weight", "weights (I, O/groups, KH, KW)", "he_uniform");
  about.parameter("b", "bias", "bias (O)", "zeros");
}

void ConvTranspose2d::plan(bp::Plan& plan) const {
  const Sample sample = sample_of(Kind::image, plan.input(0));
  check_groups(sample.channels, filters, groups);
  const Convolution shape = reversed(*this, sample);
  const bp::Dims output{shape.height.in, shape.width.in, filters};
  const bp::Dims W{sample.channels, shape.group_inputs(), shape.height.kernel, shape.width.kernel};
  check_size("the input", plan.input(0));
  check_size("the output", output);
  check_size("W", W);
  const std::int64_t fan_in = shape.group_outputs() * shape.taps(), fan_out = shape.group_inputs() * shape.taps();
  plan.output(output);
  plan.parameter(kW, W, fan_in, fan_out);
  if (bias) plan.parameter(kB, {filters}, fan_in, fan_out);
  plan_kernels(plan, shape);
}

template <class T>
void ConvTranspose2d::pack(const bp::Call<T>& call) const {
  kernels::convolution_pack<T>(reversed(*this, sample_of(call.input(0))), call.parameter(kW).data(), call.packed());
}

template <class T>
void ConvTranspose2d::forward(const bp::Call<T>& call) const {
  const Convolution shape = reversed(*this, sample_of(call.input(0)));
  T* z = call.output().data();
  kernels::convolution_backward_inputs<T>(shape, call.samples(), call.input(0).data(), call.packed(), z,
                                          call.workspace());
  if (const auto b = call.parameter(kB))
    kernels::add_to_rows<T>(call.samples() * shape.input_pixels(), filters, b.data(), z);
}

template <class T>
void ConvTranspose2d::backward(const bp::Call<T>& call) const {
  // forward was:  z = Wᵀ ∗ a + b
  const Convolution shape = reversed(*this, sample_of(call.input(0)));
  const std::int64_t N = call.samples();
  const T* delta = call.delta().data();
  if (const auto d_a = call.d_input(0))  // ∂C/∂a = W ∗ δ
    kernels::convolution_forward<T>(shape, N, delta, call.packed(), nullptr, d_a.data(), call.workspace());
  if (const auto d_W = call.d_parameter(kW))  // ∂C/∂W += Σ a·δ
    kernels::convolution_backward_weights<T>(shape, N, delta, call.input(0).data(), d_W.data(), nullptr,
                                             call.workspace());
  if (const auto d_b = call.d_parameter(kB))  // ∂C/∂b += Σ δ
    kernels::convolution_backward_bias<T>(N, shape.input_pixels(), filters, delta, d_b.data());
}

#define BP_INSTANTIATE(Layer, T)                             \
  template void Layer::pack<T>(const bp::Call<T>&) const;    \
  template void Layer::forward<T>(const bp::Call<T>&) const; \
  template void Layer::backward<T>(const bp::Call<T>&) const;
BP_INSTANTIATE(Conv2d, float)
BP_INSTANTIATE(Conv2d, double)
BP_INSTANTIATE(Conv1d, float)
BP_INSTANTIATE(Conv1d, double)
BP_INSTANTIATE(ConvTranspose2d, float)
BP_INSTANTIATE(ConvTranspose2d, double)

}  // namespace conv
