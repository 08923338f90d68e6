#pragma once

#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "kernels/convolution.h"

namespace backplane {

/// One oneDNN primitive of a convolution, with weights in the order that it prefers for this number of samples: what
/// the layers, which come from a plain order and go back to it, are measured against.
class BareConvolution {
 public:
  enum class Kernel { forward, backward_inputs, backward_weights };

  /// `has_bias`: forward adds b, backward_weights sums ∂C/∂b; the third kernel has none.
  BareConvolution(const kernels::Convolution& shape, std::int64_t samples, Kernel kernel, bool has_bias);

  /// Images a (or ∂C/∂a) and z (or δ), channels last; weights are its own.
  void run(float* a, float* z);

 private:
  void own(int argument, const dnnl::memory::desc& order);

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> operands_;
  int a_ = 0, z_ = 0;  // the arguments that run() fills in
};

}  // namespace backplane
