#include "dense/dense.h"

#include <algorithm>
#include <utility>

#include "kernels/elementwise.h"
#include "kernels/matmul.h"

using backplane::kernels::add_rows;
using backplane::kernels::matmul;
using backplane::kernels::padded_leading;
using backplane::kernels::Transpose;

namespace {

enum Parameter : std::uint32_t { kW, kB };

/// Whether backward reads a copy of W with padded rows. numerics: padded or not, oneDNN sums up to 384 terms in the
/// same order; beyond, padding would bring in one that depends on the number of rows, which no result may.
bool is_padded(std::int64_t inputs, std::int64_t units) {
  return units <= 384 && padded_leading(inputs) != inputs;
}

}  // namespace

void Dense::describe(bp::About<Dense>& about) {
  about.name("dense").summary("fully connected: z = a·Wᵀ + b");
  about.attribute("units", &Dense::units, "number of outputs O").required().at_least(1).at_most(1 << 24);
  about.attribute("bias", &Dense::bias, "whether b is added");
  about.attribute("flatten", &Dense::flatten, "whether a sample is one row; false: each position of its last axis");
  about.parameter("W", "weight", "weights (O, I): row o feeds output o", "glorot_uniform");
  about.parameter("b", "bias", "bias (O)", "zeros");
}

void Dense::plan(bp::Plan& plan) const {
  bp::Dims output = plan.input(0);
  std::int64_t inputs = 1;
  if (flatten) {
    for (const std::int64_t extent : output) inputs *= extent;
    output = {units};
  } else {
    if (output.empty()) throw bp::Error("wants an input with at least one axis where flatten is false");
    inputs = std::exchange(output.back(), units);
  }
  plan.output(output);
  plan.parameter(kW, {units, inputs}, inputs, units);
  if (bias) plan.parameter(kB, {units}, inputs, units);
  plan.needs_inputs();
  plan.gradient_units(units);
  plan.prepared(padded_leading(units) * inputs + (is_padded(inputs, units) ? padded_leading(inputs) * units : 0));
}

template <class T>
void Dense::prepare(const bp::Call<T>& call) const {
  const auto W = call.parameter(kW);
  const std::int64_t I = W.columns();
  const std::int64_t ld = padded_leading(units);
  T* Wt = call.prepared();  // (I, O), rows `ld` apart
  // Blocks keep both the rows read and the columns written in the first-level cache.
  constexpr std::int64_t kBlock = 16;
  for (std::int64_t i0 = 0; i0 < I; i0 += kBlock)
    for (std::int64_t o0 = call.unit_begin(); o0 < call.unit_end(); o0 += kBlock)
      for (std::int64_t i = i0; i < std::min(i0 + kBlock, I); ++i)
        for (std::int64_t o = o0; o < std::min(o0 + kBlock, call.unit_end()); ++o) Wt[i * ld + o] = W(o, i);
  if (is_padded(I, units))
    for (std::int64_t o = call.unit_begin(); o < call.unit_end(); ++o)
      std::copy_n(W.data() + o * I, I, Wt + I * ld + o * padded_leading(I));
}

template <class T>
void Dense::forward(const bp::Call<T>& call) const {
  const auto a = call.input(0);
  const auto z = call.output();
  const std::int64_t N = z.rows(), O = units, I = call.parameter(kW).columns();
  // z = a·Wᵀ + b: the bias is laid down first, the product added to it.
  T beta = T(0);
  if (const auto b = call.parameter(kB)) {
    for (std::int64_t n = 0; n < N; ++n) std::copy_n(b.data(), O, z.data() + n * O);
    beta = T(1);
  }
  matmul<T>(N, O, I, Transpose::no, a.data(), I, Transpose::no, call.prepared(), padded_leading(O), beta, z.data(), O);
}

template <class T>
void Dense::backward(const bp::Call<T>& call) const {
  // forward was:  z = a·Wᵀ + b
  const auto delta = call.delta();
  const std::int64_t N = delta.rows(), O = units;
  if (const auto d_a = call.d_input(0)) {  // ∂C/∂a = δ·W
    const auto W = call.parameter(kW);
    const std::int64_t I = W.columns();
    const bool padded = is_padded(I, O);
    matmul<T>(N, I, O, Transpose::no, delta.data(), O, Transpose::no,
              padded ? call.prepared() + I * padded_leading(O) : W.data(), padded ? padded_leading(I) : I, T(0),
              d_a.data(), I);
  }
  const std::int64_t begin = call.unit_begin(), count = call.unit_end() - call.unit_begin();
  if (const auto d_W = call.d_parameter(kW)) {  // ∂C/∂W += δᵀ·a, for the rows asked for
    const auto a = call.input(0);
    const std::int64_t I = d_W.columns();
    matmul<T>(count, I, N, Transpose::yes, delta.data() + begin, O, Transpose::no, a.data(), I, T(1),
              d_W.data() + begin * I, I);
  }
  if (const auto d_b = call.d_parameter(kB))  // ∂C/∂b += Σₙ δₙ
    add_rows(N, count, delta.data() + begin, O, d_b.data() + begin);
}

BP_PLUGIN("org.backplane.dense", "0.1.0", "MIT", "fully connected layers", bp::layers<Dense>, bp::activations<>)
