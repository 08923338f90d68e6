#include "attention/attention.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "activation/activation.h"
#include "kernels/elementwise.h"
#include "kernels/lane_sum.h"
#include "kernels/matmul.h"
#include "base/multiversion.h"

using backplane::kernels::add_rows;
using backplane::kernels::add_to_rows;
using backplane::kernels::lane_sum;
using backplane::kernels::matmul;
using backplane::kernels::outer_products;
using backplane::kernels::Transpose;

namespace {

enum Parameter : std::uint32_t { kWQkv, kBQkv, kWOut, kBOut };
enum Saved : std::uint32_t { kQkv, kAttention, kContext, kDeltaQkv };

/// z = a·Wᵀ + b for `rows` rows; b may be missing.
template <class T>
void project(std::int64_t rows, const T* a, bp::Tensor<const T> W, bp::Tensor<const T> b, T* z) {
  const std::int64_t O = W.rows(), I = W.columns();
  matmul<T>(rows, O, I, Transpose::no, a, I, Transpose::yes, W.data(), I, T(0), z, O);
  if (b) add_to_rows(rows, O, b.data(), z);
}

template <class T>
BP_MULTIVERSION void scale(std::int64_t count, T factor, T* row) {
  for (std::int64_t i = 0; i < count; ++i) row[i] *= factor;
}

/// g = A ⊙ (g − Σ A ⊙ g)·factor, in place: from ∂C/∂A to ∂C/∂(q·kᵀ) of one row.
/// numerics: where one A is close to 1, its g less the sum cancels. Σ A = 1, so a second sum, of what is left, has all
/// of its digits.
template <class T>
BP_MULTIVERSION void softmax_backward(std::int64_t count, T factor, const T* A, T* g) {
  const T weighted = lane_sum<T>(count, [=](std::int64_t i) { return A[i] * g[i]; });
  for (std::int64_t i = 0; i < count; ++i) g[i] -= weighted;
  const T rest = lane_sum<T>(count, [=](std::int64_t i) { return A[i] * g[i]; });
  for (std::int64_t i = 0; i < count; ++i) g[i] = A[i] * (g[i] - rest) * factor;
}

/// Sizes of a call.
struct Sizes {
  std::int64_t N, T, E, d;
  std::int64_t qkv() const { return 3 * E; }  ///< columns of q, k and v together
};
template <class T>
Sizes sizes_of(const bp::Call<T>& call, std::int64_t heads) {
  const auto dims = call.input(0).dims();
  return {.N = call.samples(), .T = dims[1], .E = dims[2], .d = dims[2] / heads};
}

}  // namespace

void Attention::describe(bp::About<Attention>& about) {
  about.name("attention").summary("multi-head self-attention over the steps of a sequence");
  about.attribute("heads", &Attention::heads, "number of heads, which divides the features").required().at_least(1);
  about.attribute("causal", &Attention::causal, "whether a step sees no later ones");
  about.attribute("bias", &Attention::bias, "whether b_qkv and b_out are added");
  about.parameter("W_qkv", "weight", "weights of queries, keys and values (3E, E)", "glorot_uniform");
  about.parameter("b_qkv", "bias", "their bias (3E)", "zeros");
  about.parameter("W_out", "weight", "weights of the output (E, E)", "glorot_uniform");
  about.parameter("b_out", "bias", "its bias (E)", "zeros");
}

void Attention::plan(bp::Plan& plan) const {
  const bp::Dims input = plan.input(0);
  if (input.size() != 2) throw bp::Error("attends over sequences [T, E], got " + bp::to_string(input));
  const std::int64_t T = input[0], E = input[1];
  if (E % heads != 0)
    throw bp::Error("cannot share " + std::to_string(E) + " features among " + std::to_string(heads) +
                    " heads evenly (input " + bp::to_string(input) + ")");
  plan.output(input);
  plan.parameter(kWQkv, {3 * E, E}, E, 3 * E);
  if (bias) plan.parameter(kBQkv, {3 * E}, E, 3 * E);
  plan.parameter(kWOut, {E, E}, E, E);
  if (bias) plan.parameter(kBOut, {E}, E, E);
  plan.needs_inputs();
  plan.uses_lengths();
  plan.saved("qkv", {T, 3 * E}, BP_SAVED_BY_FORWARD);
  plan.saved("attention", {heads, T, T}, BP_SAVED_BY_FORWARD);
  plan.saved("context", {T, E}, BP_SAVED_BY_FORWARD);
  plan.saved("delta_qkv", {T, 3 * E}, BP_SAVED_BY_BACKWARD);
  const auto element = static_cast<std::int64_t>(plan.dtype() == BP_F32 ? sizeof(float) : sizeof(double));
  plan.workspace(static_cast<std::uint64_t>(T * T * element), static_cast<std::uint64_t>(T * E * element));
}

template <class T>
void Attention::forward(const bp::Call<T>& call) const {
  const Sizes size = sizes_of(call, heads);
  const auto z = call.output(), attention = call.saved(kAttention), context = call.saved(kContext);
  T* qkv = call.saved(kQkv).data();
  project<T>(size.N * size.T, call.input(0).data(), call.parameter(kWQkv), call.parameter(kBQkv), qkv);
  const T factor = T(1) / std::sqrt(static_cast<T>(size.d));
  for (std::int64_t n = 0; n < size.N; ++n) {
    const std::int64_t length = call.length(n, size.T);
    for (std::int64_t h = 0; h < heads; ++h) {
      const T* q = qkv + n * size.T * size.qkv() + h * size.d;
      const T *k = q + size.E, *v = k + size.E;
      T* A = attention.data() + (n * heads + h) * size.T * size.T;
      // All T steps are multiplied whatever the length: products are made ready once for each size.
      matmul<T>(size.T, size.T, size.d, Transpose::no, q, size.qkv(), Transpose::yes, k, size.qkv(), T(0), A, size.T);
      for (std::int64_t t = 0; t < size.T; ++t) {
        T* row = A + t * size.T;
        const std::int64_t seen = keys(t, length);
        scale(seen, factor, row);
        if (seen > 0) activation::softmax(row, row, 1, seen);
        std::fill(row + seen, row + size.T, T(0));
      }
      matmul<T>(size.T, size.d, size.T, Transpose::no, A, size.T, Transpose::no, v, size.qkv(), T(0),
                context.data() + n * size.T * size.E + h * size.d, size.E);
    }
  }
  project<T>(size.N * size.T, context.data(), call.parameter(kWOut), call.parameter(kBOut), z.data());
  for (std::int64_t n = 0; n < size.N; ++n) {
    const std::int64_t length = call.length(n, size.T);
    std::fill_n(z.data() + (n * size.T + length) * size.E, (size.T - length) * size.E, T(0));
  }
}

template <class T>
void Attention::backward(const bp::Call<T>& call) const {
  // forward was:  qkv = a·W_qkvᵀ + b_qkv,   A = softmax(q·kᵀ/√d),   c = A·v,   z = c·W_outᵀ + b_out
  const Sizes size = sizes_of(call, heads);
  const std::int64_t rows = size.N * size.T;
  const auto W_qkv = call.parameter(kWQkv), W_out = call.parameter(kWOut);
  const auto attention = call.saved(kAttention), context = call.saved(kContext);
  const T *delta = call.delta().data(), *qkv = call.saved(kQkv).data();
  T* delta_qkv = call.saved(kDeltaQkv).data();
  T* d_A = static_cast<T*>(call.workspace());  // (T, T)
  T* d_context = d_A + size.T * size.T;        // (N, T, E)
  // Past a sample's length δ may hold anything; A is 0 there, and lets nothing of it through to q, k and v.
  matmul<T>(rows, size.E, size.E, Transpose::no, delta, size.E, Transpose::no, W_out.data(), size.E, T(0), d_context,
            size.E);
  const T factor = T(1) / std::sqrt(static_cast<T>(size.d));
  for (std::int64_t n = 0; n < size.N; ++n) {
    const std::int64_t length = call.length(n, size.T);
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t at = n * size.T * size.qkv() + h * size.d;
      const T *q = qkv + at, *k = q + size.E, *v = k + size.E;
      T *d_q = delta_qkv + at, *d_k = d_q + size.E, *d_v = d_k + size.E;
      const T* A = attention.data() + (n * heads + h) * size.T * size.T;
      const T* d_c = d_context + n * size.T * size.E + h * size.d;
      matmul<T>(size.T, size.d, size.T, Transpose::yes, A, size.T, Transpose::no, d_c, size.E, T(0), d_v, size.qkv());
      matmul<T>(size.T, size.T, size.d, Transpose::no, d_c, size.E, Transpose::yes, v, size.qkv(), T(0), d_A, size.T);
      for (std::int64_t t = 0; t < size.T; ++t) {
        const std::int64_t seen = keys(t, length);
        softmax_backward(seen, factor, A + t * size.T, d_A + t * size.T);
        std::fill(d_A + t * size.T + seen, d_A + (t + 1) * size.T, T(0));
      }
      matmul<T>(size.T, size.d, size.T, Transpose::no, d_A, size.T, Transpose::no, k, size.qkv(), T(0), d_q,
                size.qkv());
      matmul<T>(size.T, size.d, size.T, Transpose::yes, d_A, size.T, Transpose::no, q, size.qkv(), T(0), d_k,
                size.qkv());
    }
  }
  if (const auto d_a = call.d_input(0))
    matmul<T>(rows, size.E, size.qkv(), Transpose::no, delta_qkv, size.qkv(), Transpose::no, W_qkv.data(), size.E, T(0),
              d_a.data(), size.E);
  if (const auto d_W = call.d_parameter(kWQkv))
    outer_products<T>(rows, size.qkv(), size.E, delta_qkv, size.qkv(), call.input(0).data(), size.E, T(1), d_W.data(),
                      size.E);
  if (const auto d_b = call.d_parameter(kBQkv)) add_rows(rows, size.qkv(), delta_qkv, size.qkv(), d_b.data());
  if (const auto d_W = call.d_parameter(kWOut))
    outer_products<T>(rows, size.E, size.E, delta, size.E, context.data(), size.E, T(1), d_W.data(), size.E);
  if (const auto d_b = call.d_parameter(kBOut))
    for (std::int64_t n = 0; n < size.N; ++n)
      add_rows(call.length(n, size.T), size.E, delta + n * size.T * size.E, size.E, d_b.data());
}

BP_PLUGIN("org.backplane.attention", "0.1.0", "MIT", "attention", bp::layers<Attention>, bp::activations<>)
