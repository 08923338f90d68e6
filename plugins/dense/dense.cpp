#include "dense/dense.h"

#include <algorithm>
#include <span>
#include <utility>

#include "kernels/elementwise.h"
#include "kernels/matmul.h"
#include "kernels/transpose.h"

using backplane::kernels::add_rows;
using backplane::kernels::add_to_rows;
using backplane::kernels::matmul;
using backplane::kernels::outer_products;
using backplane::kernels::padded_leading;
using backplane::kernels::transpose;
using backplane::kernels::Transpose;

namespace {

enum Parameter : std::uint32_t { kW, kB };

/// Whether a sample has more rows than one. Then forward reads Wᵀ, laid out once a step; with a row a sample, the
/// kernels are as fast on W as it stands, in zᵀ = W·aᵀ.
bool has_many_rows(const Dense& layer, std::span<const std::int64_t> sample) {
  return !layer.flatten && sample.size() > 1;
}

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
  const bool many_rows = has_many_rows(*this, plan.input(0));
  plan.output(output);
  plan.parameter(kW, {units, inputs}, inputs, units);
  if (bias) plan.parameter(kB, {units}, inputs, units);
  plan.needs_inputs();
  plan.full_speed_samples(many_rows ? 1 : 16);
  plan.gradient_units(units);
  plan.writes_gradients();
  plan.packed((many_rows ? inputs * padded_leading(units) : 0) +
              (is_padded(inputs, units) ? units * padded_leading(inputs) : 0));
  if (!many_rows) plan.workspace(0, static_cast<std::uint64_t>(units) * (plan.dtype() == BP_F32 ? 4 : 8));
}

template <class T>
void Dense::pack(const bp::Call<T>& call) const {
  const auto W = call.parameter(kW);
  const std::int64_t I = W.columns(), begin = call.unit_begin(), end = call.unit_end();
  T* to = call.packed();
  if (has_many_rows(*this, call.input(0).dims().subspan(1))) {  // Wᵀ (I, O)
    transpose<T>(end - begin, I, W.data() + begin * I, I, to + begin, padded_leading(units));
    to += I * padded_leading(units);
  }
  if (is_padded(I, units))
    for (std::int64_t o = begin; o < end; ++o) std::copy_n(W.data() + o * I, I, to + o * padded_leading(I));
}

template <class T>
void Dense::forward(const bp::Call<T>& call) const {
  const auto a = call.input(0), W = call.parameter(kW), b = call.parameter(kB);
  const auto z = call.output();
  const std::int64_t N = z.rows(), O = units, I = W.columns();
  if (has_many_rows(*this, a.dims().subspan(1))) {
    matmul<T>(N, O, I, Transpose::no, a.data(), I, Transpose::no, call.packed(), padded_leading(O), T(0), z.data(), O);
  } else {
    T* zt = static_cast<T*>(call.workspace());  // (O, N)
    matmul<T>(O, N, I, Transpose::no, W.data(), I, Transpose::yes, a.data(), I, T(0), zt, N);
    transpose<T>(O, N, zt, N, z.data(), O);
  }
  if (b) add_to_rows(N, O, b.data(), z.data());
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
    const T* copy = call.packed() + (has_many_rows(*this, call.input(0).dims().subspan(1)) ? I * padded_leading(O) : 0);
    matmul<T>(N, I, O, Transpose::no, delta.data(), O, Transpose::no, padded ? copy : W.data(),
              padded ? padded_leading(I) : I, T(0), d_a.data(), I);
  }
  const std::int64_t begin = call.unit_begin(), count = call.unit_end() - call.unit_begin();
  if (const auto d_W = call.d_parameter(kW)) {  // ∂C/∂W = δᵀ·a, of the units asked for
    const auto a = call.input(0);
    const std::int64_t I = d_W.columns();
    outer_products<T>(N, count, I, delta.data() + begin, O, a.data(), I, T(0), d_W.data(), I);
  }
  if (const auto d_b = call.d_parameter(kB)) {  // ∂C/∂b = Σₙ δₙ
    std::fill_n(d_b.data(), count, T(0));
    add_rows(N, count, delta.data() + begin, O, d_b.data());
  }
}

BP_PLUGIN("org.backplane.dense", "0.1.0", "MIT", "fully connected layers", bp::layers<Dense>, bp::activations<>)
