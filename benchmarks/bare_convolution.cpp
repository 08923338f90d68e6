#include "bare_convolution.h"

#include <algorithm>

#include "kernels/onednn.h"

namespace backplane {

using dnnl::memory;

BareConvolution::BareConvolution(const kernels::Convolution& shape, std::int64_t samples, Kernel kernel,
                                 bool has_bias) {
  const auto f32 = memory::data_type::f32;
  const auto direct = dnnl::algorithm::convolution_direct;
  const kernels::Axis &y = shape.height, &x = shape.width;
  const memory::desc a({samples, shape.inputs, y.in, x.in}, f32, memory::format_tag::nhwc);
  const memory::desc z({samples, shape.outputs, y.out, x.out}, f32, memory::format_tag::nhwc);
  memory::dims extents{shape.group_outputs(), shape.group_inputs(), y.kernel, x.kernel};
  if (shape.groups > 1) extents.insert(extents.begin(), shape.groups);
  const memory::desc W(extents, f32, memory::format_tag::any);
  const memory::desc b = has_bias ? memory::desc({shape.outputs}, f32, memory::format_tag::x) : memory::desc();
  const memory::dims strides{y.stride, x.stride}, gaps{y.dilation - 1, x.dilation - 1}, before{y.before, x.before},
      after{y.after, x.after};
  const dnnl::primitive_attr plain;
  const auto forward = kernels::describe<dnnl::convolution_forward>(engine_, plain, dnnl::prop_kind::forward_training,
                                                                    direct, a, W, b, z, strides, gaps, before, after);
  if (kernel == Kernel::forward) {
    primitive_ = dnnl::convolution_forward(forward);
    a_ = DNNL_ARG_SRC, z_ = DNNL_ARG_DST;
    own(DNNL_ARG_WEIGHTS, forward.weights_desc());
    if (has_bias) own(DNNL_ARG_BIAS, b);
  } else if (kernel == Kernel::backward_inputs) {
    const auto chosen = kernels::describe_backward<dnnl::convolution_backward_data>(engine_, plain, forward, direct, a,
                                                                                    W, z, strides, gaps, before, after);
    primitive_ = dnnl::convolution_backward_data(chosen);
    a_ = DNNL_ARG_DIFF_SRC, z_ = DNNL_ARG_DIFF_DST;
    own(DNNL_ARG_WEIGHTS, chosen.weights_desc());
  } else {
    const auto chosen = kernels::describe_backward<dnnl::convolution_backward_weights>(
        engine_, plain, forward, direct, a, W, b, z, strides, gaps, before, after);
    primitive_ = dnnl::convolution_backward_weights(chosen);
    a_ = DNNL_ARG_SRC, z_ = DNNL_ARG_DIFF_DST;
    own(DNNL_ARG_DIFF_WEIGHTS, chosen.diff_weights_desc());
    if (has_bias) own(DNNL_ARG_DIFF_BIAS, b);
  }
  operands_.emplace(a_, memory(a, engine_, nullptr));
  operands_.emplace(z_, memory(z, engine_, nullptr));
}

void BareConvolution::own(int argument, const memory::desc& order) {
  const memory made(order, engine_);
  std::fill_n(static_cast<float*>(made.get_data_handle()), order.get_size() / sizeof(float), 0.01f);
  operands_.emplace(argument, made);
}

void BareConvolution::run(float* a, float* z) {
  operands_.at(a_).set_data_handle(a);
  operands_.at(z_).set_data_handle(z);
  primitive_.execute(stream_, operands_);
}

}  // namespace backplane
