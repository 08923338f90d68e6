#pragma once

#include <oneapi/dnnl/dnnl.hpp>

namespace backplane::kernels {

/// The primitive descriptor of `what`, the arguments that tell one kernel of the class `Primitive` from another.
/// oneDNN 2 wants them in an operation descriptor of their own, oneDNN 3 among the other arguments.
template <class Primitive, class... What>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                            const What&... what) {
#if DNNL_VERSION_MAJOR < 3
  return {typename Primitive::desc(what...), attributes, engine};
#else
  return {engine, what..., attributes};
#endif
}

/// Likewise, of a backward kernel to `forward`.
template <class Primitive, class... What>
typename Primitive::primitive_desc describe_backward(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                                     const dnnl::convolution_forward::primitive_desc& forward,
                                                     const What&... what) {
#if DNNL_VERSION_MAJOR < 3
  return {typename Primitive::desc(what...), attributes, engine, forward};
#else
  return {engine, what..., forward, attributes};
#endif
}

}  // namespace backplane::kernels
