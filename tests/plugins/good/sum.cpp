#include <algorithm>

#include "backplane/plugin.hpp"

/// Sum of two or three inputs of one shape, as behind a residual connection:  z = Σₖ aₖ
///
///   backward   ∂C/∂aₖ = δ  for every k (written)
template <std::uint32_t kInputs>
struct Sum {
  static void describe(bp::About<Sum>& about) {
    about.name(kInputs == 2 ? "sum" : "sum_3").summary("z = Σ a, inputs of one shape").inputs(kInputs, kInputs);
  }
  void plan(bp::Plan& plan) const {
    for (std::uint32_t k = 1; k < kInputs; ++k)
      if (plan.input(k) != plan.input(0)) throw bp::Error("its inputs have different shapes");
    plan.output(plan.input(0));
  }
  template <class T>
  void forward(const bp::Call<T>& call) const {
    const auto z = call.output();
    std::copy_n(call.input(0).data(), z.size(), z.data());
    for (std::uint32_t k = 1; k < kInputs; ++k)
      for (std::int64_t i = 0; i < z.size(); ++i) z[i] += call.input(k)[i];
  }
  template <class T>
  void backward(const bp::Call<T>& call) const {
    for (std::uint32_t k = 0; k < kInputs; ++k)
      if (const auto d_a = call.d_input(k)) std::copy_n(call.delta().data(), d_a.size(), d_a.data());
  }
};

BP_PLUGIN("test.sum", "0.1.0", "MIT", "sums", bp::layers<Sum<2>, Sum<3>>, bp::activations<>)
