#include "elementwise/elementwise.h"

#include <algorithm>
#include <string>

#include "kernels/elementwise.h"
#include "base/multiversion.h"

namespace elementwise {

namespace kernels = backplane::kernels;

namespace {

constexpr std::uint32_t kMostInputs = 64;
enum Parameter : std::uint32_t { kGamma, kBeta };

/// The shape that all inputs have; `verb` is what the layer does with them.
bp::Dims one_shape(const bp::Plan& plan, const char* verb) {
  const bp::Dims first = plan.input(0);
  for (std::uint32_t k = 1; k < plan.input_count(); ++k)
    if (plan.input(k) != first)
      throw bp::Error(std::string(verb) + " tensors of one shape, got " + bp::to_string(first) + " and " +
                      bp::to_string(plan.input(k)));
  return first;
}

/// z = initial·γ ⊙ a + β for each row; β may be nullptr.
template <class T>
BP_MULTIVERSION void scale_rows(std::int64_t rows, std::int64_t F, T initial, const T* gamma, const T* beta, const T* a,
                                T* __restrict z) {
  for (std::int64_t r = 0; r < rows; ++r, a += F, z += F)
    if (beta != nullptr)
      for (std::int64_t f = 0; f < F; ++f) z[f] = initial * gamma[f] * a[f] + beta[f];
    else
      for (std::int64_t f = 0; f < F; ++f) z[f] = initial * gamma[f] * a[f];
}

/// d_gamma += initial·Σ a ⊙ δ over the rows
template <class T>
BP_MULTIVERSION void add_products(std::int64_t rows, std::int64_t F, T initial, const T* a, const T* delta,
                                  T* __restrict d_gamma) {
  for (std::int64_t r = 0; r < rows; ++r, a += F, delta += F)
    for (std::int64_t f = 0; f < F; ++f) d_gamma[f] += initial * a[f] * delta[f];
}

}  // namespace

void Add::describe(bp::About<Add>& about) {
  about.name("add").summary("sum of inputs of one shape").inputs(2, kMostInputs);
}

void Add::plan(bp::Plan& plan) const {
  plan.output(one_shape(plan, "adds"));
}

template <class T>
void Add::forward(const bp::Call<T>& call) const {
  const auto z = call.output();
  kernels::add(z.size(), call.input(0).data(), call.input(1).data(), z.data());
  for (std::size_t k = 2; k < call.input_count(); ++k) kernels::add(z.size(), z.data(), call.input(k).data(), z.data());
}

template <class T>
void Add::backward(const bp::Call<T>& call) const {
  // forward was:  z = Σₖ aₖ
  for (std::size_t k = 0; k < call.input_count(); ++k)
    if (const auto d_a = call.d_input(k)) std::copy_n(call.delta().data(), d_a.size(), d_a.data());
}

void Multiply::describe(bp::About<Multiply>& about) {
  about.name("multiply").summary("product of inputs of one shape, element by element").inputs(2, kMostInputs);
}

void Multiply::plan(bp::Plan& plan) const {
  plan.output(one_shape(plan, "multiplies"));
  plan.needs_inputs();
}

template <class T>
void Multiply::forward(const bp::Call<T>& call) const {
  const auto z = call.output();
  kernels::multiply(z.size(), call.input(0).data(), call.input(1).data(), z.data());
  for (std::size_t k = 2; k < call.input_count(); ++k)
    kernels::multiply(z.size(), z.data(), call.input(k).data(), z.data());
}

template <class T>
void Multiply::backward(const bp::Call<T>& call) const {
  // forward was:  z = Πₖ aₖ
  for (std::size_t k = 0; k < call.input_count(); ++k) {
    const auto d_a = call.d_input(k);
    if (!d_a) continue;
    const T* so_far = call.delta().data();
    for (std::size_t j = 0; j < call.input_count(); ++j) {
      if (j == k) continue;
      kernels::multiply(d_a.size(), so_far, call.input(j).data(), d_a.data());
      so_far = d_a.data();
    }
  }
}

void Scale::describe(bp::About<Scale>& about) {
  about.name("scale").summary("z = initial·gamma·a + beta, one trainable factor for each feature");
  about.attribute("initial", &Scale::initial, "what the input is multiplied by besides gamma, which starts at 1");
  about.attribute("bias", &Scale::bias, "whether beta is added");
  about.parameter("gamma", "gain", "factor of each feature (F)", "ones");
  about.parameter("beta", "bias", "offset of each feature (F)", "zeros");
}

void Scale::plan(bp::Plan& plan) const {
  const bp::Dims input = plan.input(0);
  if (input.empty()) throw bp::Error("wants an input with at least one axis");
  const std::int64_t F = input.back();
  plan.output(input);
  plan.parameter(kGamma, {F}, F, F);
  if (bias) plan.parameter(kBeta, {F}, F, F);
  plan.needs_inputs();
}

template <class T>
void Scale::forward(const bp::Call<T>& call) const {
  const auto a = call.input(0);
  scale_rows<T>(a.rows(), a.columns(), static_cast<T>(initial), call.parameter(kGamma).data(),
                call.parameter(kBeta).data(), a.data(), call.output().data());
}

template <class T>
void Scale::backward(const bp::Call<T>& call) const {
  // forward was:  z = initial · γ ⊙ a + β
  const auto a = call.input(0), delta = call.delta();
  const auto factor = static_cast<T>(initial);
  if (const auto d_a = call.d_input(0))
    scale_rows<T>(a.rows(), a.columns(), factor, call.parameter(kGamma).data(), nullptr, delta.data(), d_a.data());
  if (const auto d_gamma = call.d_parameter(kGamma))
    add_products<T>(a.rows(), a.columns(), factor, a.data(), delta.data(), d_gamma.data());
  if (const auto d_beta = call.d_parameter(kBeta))
    kernels::add_rows(a.rows(), a.columns(), delta.data(), a.columns(), d_beta.data());
}

}  // namespace elementwise

using namespace elementwise;

BP_PLUGIN("org.backplane.elementwise", "0.1.0", "MIT", "arithmetic on tensors of one shape",
          bp::layers<Add, Multiply, Scale>, bp::activations<>)
