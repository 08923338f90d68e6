#include "bare_product.h"

#include "kernels/onednn.h"

namespace backplane {

using dnnl::memory;

BareProduct::BareProduct(std::int64_t M, std::int64_t N, std::int64_t K, Operand A, Operand B, bool adds) {
  const auto order = [](std::int64_t rows, std::int64_t columns, Operand operand) {
    const bool is_transposed = operand.transpose == kernels::Transpose::yes;
    return memory::desc({rows, columns}, memory::data_type::f32,
                        is_transposed ? memory::dims{1, operand.leading} : memory::dims{operand.leading, 1});
  };
  const memory::desc a = order(M, K, A), b = order(K, N, B), c = order(M, N, {kernels::Transpose::no, N});
  dnnl::primitive_attr attributes;
  if (adds) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  primitive_ = dnnl::matmul(kernels::describe<dnnl::matmul>(engine_, attributes, a, b, c));
  operands_ = {{DNNL_ARG_SRC, memory(a, engine_, nullptr)},
               {DNNL_ARG_WEIGHTS, memory(b, engine_, nullptr)},
               {DNNL_ARG_DST, memory(c, engine_, nullptr)}};
}

void BareProduct::run(const float* A, const float* B, float* C) {
  operands_.at(DNNL_ARG_SRC).set_data_handle(const_cast<float*>(A));
  operands_.at(DNNL_ARG_WEIGHTS).set_data_handle(const_cast<float*>(B));
  operands_.at(DNNL_ARG_DST).set_data_handle(C);
  primitive_.execute(stream_, operands_);
}

}  // namespace backplane
