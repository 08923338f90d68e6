#pragma once

#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "kernels/matmul.h"

namespace backplane {

/// One oneDNN primitive: C (M, N) = op(A)·op(B), or C += with `adds`. What kernels::matmul is, once its primitive has
/// been found.
class BareProduct {
 public:
  struct Operand {
    kernels::Transpose transpose;
    std::int64_t leading;
  };

  BareProduct(std::int64_t M, std::int64_t N, std::int64_t K, Operand A, Operand B, bool adds = false);

  void run(const float* A, const float* B, float* C);

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::matmul primitive_;
  std::unordered_map<int, dnnl::memory> operands_;
};

}  // namespace backplane
