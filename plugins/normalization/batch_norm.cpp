#include <algorithm>
#include <cmath>

#include "base/multiversion.h"
#include "normalization/normalization.h"
#include "normalization/twofold.h"

namespace normalization {

namespace {

enum Parameter : std::uint32_t { kGamma, kBeta };
enum State : std::uint32_t { kRunningMean, kRunningVariance };

/// Four rows at a time, since the sums are loaded and stored once for all of them.
constexpr std::int64_t kRows = 4;

/// sum[f] += Σ x − x₀, square[f] += Σ (x − x₀)² over `rows` rows of `F`.
template <class T>
BP_MULTIVERSION void add_moments(std::int64_t rows, std::int64_t F, const T* x, const double* __restrict x0,
                                 double* __restrict sum, double* __restrict square) {
  std::int64_t r = 0;
  for (; r + kRows <= rows; r += kRows, x += kRows * F)
    for (std::int64_t f = 0; f < F; ++f) {
      const double shift = x0[f];
      const double d0 = x[f] - shift, d1 = x[F + f] - shift, d2 = x[2 * F + f] - shift, d3 = x[3 * F + f] - shift;
      sum[f] += (d0 + d1) + (d2 + d3);
      square[f] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
    }
  for (; r < rows; ++r, x += F)
    for (std::int64_t f = 0; f < F; ++f) {
      const double d = x[f] - x0[f];
      sum[f] += d;
      square[f] += d * d;
    }
}

/// What the slices leave and the host adds up: n, and of each feature the pieces of Σ x and Σ x². numerics: where the
/// mean is large beside the deviation, Σ x² − (Σ x)²/n cancels, which twice the digits afford.
template <class Number>
struct Sums {
  Sums(Number* numbers, std::int64_t F) : n(numbers[0]), x(numbers + 1), square(x + kPieces * F), stride(F) {}
  static std::int64_t size(std::int64_t F) { return 1 + 2 * kPieces * F; }

  Twofold sum(std::int64_t f) const { return join_pieces(x + f, stride); }
  /// Σ (x − mean)², given Σ x.
  double deviation(std::int64_t f, const Twofold& sum) const {
    const Twofold rest = join_pieces(square + f, stride) + -(sum * sum / n);
    return std::max(rest.hi, 0.0);  // in this order: NaN stays NaN, since a divergence must show
  }

  Number &n, *x, *square;
  std::int64_t stride;
};

/// Σ x = n·x₀ + Σ (x − x₀) and Σ x² = n·x₀² + 2x₀·Σ (x − x₀) + Σ (x − x₀)², with all digits.
BP_MULTIVERSION void add_shifted(std::int64_t F, const double* x0, const double* sum, const double* square,
                                 const Sums<double>& to) {
  for (std::int64_t f = 0; f < F; ++f) {
    const Twofold offset = exact_product(to.n, x0[f]), part{sum[f], 0.0}, base{x0[f], 0.0};
    add_pieces(offset + part, to.x + f, F);
    add_pieces(base * (offset + part + part) + Twofold{square[f], 0.0}, to.square + f, F);
  }
}

/// μ as mean + rest, and 1/√(σ² + ε), of the whole batch. Each slice asks for them anew.
template <class T>
BP_MULTIVERSION void find_moments(const Sums<double>& batch, double epsilon, T* __restrict mean,
                                  double* __restrict rest, T* __restrict inverse) {
  const std::int64_t F = batch.stride;
  const double n = batch.n;
  for (std::int64_t f = 0; f < F; ++f) {
    const Twofold sum = batch.sum(f), mu = sum / n;
    mean[f] = static_cast<T>(mu.hi);
    rest[f] = (mu.hi - mean[f]) + mu.lo;
    inverse[f] = static_cast<T>(1.0 / std::sqrt(batch.deviation(f, sum) / n + epsilon));
  }
}

/// sum[f] += Σ δ, product[f] += Σ δ·x̂, where x̂ = (x − mean)·inverse.
template <class T>
BP_MULTIVERSION void add_products(std::int64_t rows, std::int64_t F, const T* x, const T* delta, const T* mean,
                                  const T* inverse, double* __restrict sum, double* __restrict product) {
  std::int64_t r = 0;
  for (; r + kRows <= rows; r += kRows, x += kRows * F, delta += kRows * F)
    for (std::int64_t f = 0; f < F; ++f) {
      const double shift = mean[f], factor = inverse[f];
      const double d0 = delta[f], d1 = delta[F + f], d2 = delta[2 * F + f], d3 = delta[3 * F + f];
      sum[f] += (d0 + d1) + (d2 + d3);
      product[f] += ((d0 * (x[f] - shift) + d1 * (x[F + f] - shift)) +
                     (d2 * (x[2 * F + f] - shift) + d3 * (x[3 * F + f] - shift))) *
                    factor;
    }
  for (; r < rows; ++r, x += F, delta += F)
    for (std::int64_t f = 0; f < F; ++f) {
      const double d = delta[f];
      sum[f] += d;
      product[f] += d * (x[f] - static_cast<double>(mean[f])) * static_cast<double>(inverse[f]);
    }
}

/// Features whose four numbers stand in registers while the rows go by: kCount of them, or `count` where that is 0.
constexpr std::int64_t kBlock = 32;

/// z = (x − mean)·scale + beta
template <std::int64_t kCount, class T>
inline __attribute__((always_inline)) void normalize_block(std::int64_t rows, std::int64_t F, std::int64_t count,
                                                           const T* x, const T* mean, const T* scale, const T* beta,
                                                           T* __restrict z) {
  T m[kBlock], s[kBlock], b[kBlock];
  if constexpr (kCount > 0) count = kCount;
  for (std::int64_t f = 0; f < count; ++f) m[f] = mean[f], s[f] = scale[f], b[f] = beta[f];
  for (std::int64_t r = 0; r < rows; ++r, x += F, z += F)
    for (std::int64_t f = 0; f < count; ++f) z[f] = (x[f] - m[f]) * s[f] + b[f];
}

template <class T>
BP_MULTIVERSION void normalize(std::int64_t rows, std::int64_t F, const T* x, const T* mean, const T* scale,
                               const T* beta, T* __restrict z) {
  std::int64_t f = 0;
  for (; f + kBlock <= F; f += kBlock)
    normalize_block<kBlock>(rows, F, kBlock, x + f, mean + f, scale + f, beta + f, z + f);
  if (f < F) normalize_block<0>(rows, F, F - f, x + f, mean + f, scale + f, beta + f, z + f);
}

/// d_x = scale·(δ − mean_delta − (x − mean)·slope)
template <std::int64_t kCount, class T>
inline __attribute__((always_inline)) void normalize_backward_block(std::int64_t rows, std::int64_t F,
                                                                    std::int64_t count, const T* x, const T* delta,
                                                                    const T* mean, const T* scale, const T* mean_delta,
                                                                    const T* slope, T* __restrict d_x) {
  T m[kBlock], s[kBlock], d[kBlock], k[kBlock];
  if constexpr (kCount > 0) count = kCount;
  for (std::int64_t f = 0; f < count; ++f) m[f] = mean[f], s[f] = scale[f], d[f] = mean_delta[f], k[f] = slope[f];
  for (std::int64_t r = 0; r < rows; ++r, x += F, delta += F, d_x += F)
    for (std::int64_t f = 0; f < count; ++f) d_x[f] = s[f] * (delta[f] - d[f] - (x[f] - m[f]) * k[f]);
}

template <class T>
BP_MULTIVERSION void normalize_backward(std::int64_t rows, std::int64_t F, const T* x, const T* delta, const T* mean,
                                        const T* scale, const T* mean_delta, const T* slope, T* __restrict d_x) {
  std::int64_t f = 0;
  for (; f + kBlock <= F; f += kBlock)
    normalize_backward_block<kBlock>(rows, F, kBlock, x + f, delta + f, mean + f, scale + f, mean_delta + f, slope + f,
                                     d_x + f);
  if (f < F)
    normalize_backward_block<0>(rows, F, F - f, x + f, delta + f, mean + f, scale + f, mean_delta + f, slope + f,
                                d_x + f);
}

/// body(first row, rows) for the positions of this call that count, and padding(first row, rows) for the others.
template <class T, class Body, class Padding>
void for_each_run(const bp::Call<T>& call, Body body, Padding padding) {
  const auto a = call.input(0);
  // A sample of one axis has no steps besides its features.
  if (!call.has_lengths() || a.dims().size() < 3) return body(0, call.samples() == 0 ? 0 : a.size() / a.columns());
  const std::int64_t steps = a.dim(1), per_sample = a.size() / a.dim(0) / a.columns(), per_step = per_sample / steps;
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    const std::int64_t valid = call.length(n, steps) * per_step;
    body(n * per_sample, valid);
    padding(n * per_sample + valid, per_sample - valid);
  }
}

const auto kNothing = [](std::int64_t, std::int64_t) {};

}  // namespace

/// Arrays of F in the workspace.
template <class T>
struct BatchNorm::Moments {
  double* sums;       ///< two of them, free to use
  double* rest;       ///< what rounding took off the mean: μ = mean + rest
  T *mean, *inverse;  ///< μ and 1/√(σ² + ε); in evaluation, from the running statistics
  T *scale, *spare[2];

  /// Σδx̂ from Σδ and what add_products gave, which knows no rest.
  double products(std::int64_t f, double sum, double product) const { return product - rest[f] * inverse[f] * sum; }
};

void BatchNorm::describe(bp::About<BatchNorm>& about) {
  about.name("batch_norm").summary("z = gamma·(a - mean)/sqrt(variance + epsilon) + beta over the batch");
  about.attribute("epsilon", &BatchNorm::epsilon, "added to the variance").at_least(0);
  about.attribute("momentum", &BatchNorm::momentum, "share of a step in the running statistics").at_least(0).at_most(1);
  about.parameter("gamma", "gain", "factor of each feature (F)", "ones");
  about.parameter("beta", "bias", "offset of each feature (F)", "zeros");
}

void BatchNorm::plan(bp::Plan& plan) const {
  const bp::Dims input = plan.input(0);
  if (input.empty()) throw bp::Error("wants an input with at least one axis");
  const std::int64_t F = input.back();
  plan.output(input);
  plan.parameter(kGamma, {F}, F, F);
  plan.parameter(kBeta, {F}, F, F);
  plan.needs_inputs();
  plan.uses_lengths();
  plan.batch_sums(Sums<double>::size(F), 2 * F);
  plan.shared_state("running_mean", {F}, 0.0);
  plan.shared_state("running_variance", {F}, 1.0);
  plan.workspace(static_cast<std::uint64_t>(8 * F) * sizeof(double), 0);
}

template <class T>
void BatchNorm::collect_forward(const bp::Call<T>& call) const {
  const auto a = call.input(0);
  const std::int64_t F = a.columns();
  const Sums sums(call.forward_sums(), F);
  // x₀ is a row of the slice itself, which no value is farther from than from the others.
  double *x0 = static_cast<double*>(call.workspace()), *sum = x0 + F, *square = sum + F;
  std::fill_n(sum, 2 * F, 0.0);
  for_each_run(
      call,
      [&](std::int64_t row, std::int64_t rows) {
        const T* x = a.data() + row * F;
        if (sums.n == 0 && rows > 0) std::copy_n(x, F, x0);
        add_moments<T>(rows, F, x, x0, sum, square);
        sums.n += static_cast<double>(rows);
      },
      kNothing);
  if (sums.n > 0) add_shifted(F, x0, sum, square, sums);
}

template <class T>
BatchNorm::Moments<T> BatchNorm::moments(const bp::Call<T>& call) const {
  const auto running_mean = call.state(kRunningMean), running_variance = call.state(kRunningVariance);
  const auto gamma = call.parameter(kGamma);
  const std::int64_t F = gamma.size();
  auto* sums = static_cast<double*>(call.workspace());
  T* arrays = reinterpret_cast<T*>(sums + 3 * F);
  const Moments<T> moments{sums, sums + 2 * F, arrays, arrays + F, arrays + 2 * F, {arrays + 3 * F, arrays + 4 * F}};
  if (call.training()) {
    const Sums batch(call.forward_sums(), F);
    if (batch.n < 2)
      throw bp::Error("needs more than one value per feature to train, got a batch of one sample with one position");
    find_moments<T>(batch, epsilon, moments.mean, moments.rest, moments.inverse);
  } else {
    for (std::int64_t f = 0; f < F; ++f) {
      moments.mean[f] = running_mean[f], moments.rest[f] = 0.0;
      moments.inverse[f] = static_cast<T>(1.0 / std::sqrt(static_cast<double>(running_variance[f]) + epsilon));
    }
  }
  for (std::int64_t f = 0; f < F; ++f) moments.scale[f] = gamma[f] * moments.inverse[f];
  return moments;
}

template <class T>
void BatchNorm::forward(const bp::Call<T>& call) const {
  const auto a = call.input(0), beta = call.parameter(kBeta);
  const auto z = call.output();
  const std::int64_t F = a.columns();
  const Moments<T> moment = moments(call);
  T* offset = moment.spare[0];
  for (std::int64_t f = 0; f < F; ++f) offset[f] = static_cast<T>(beta[f] - moment.rest[f] * moment.scale[f]);
  for_each_run(
      call,
      [&](std::int64_t row, std::int64_t rows) {
        normalize<T>(rows, F, a.data() + row * F, moment.mean, moment.scale, offset, z.data() + row * F);
      },
      [&](std::int64_t row, std::int64_t rows) { std::fill_n(z.data() + row * F, rows * F, T(0)); });
}

template <class T>
void BatchNorm::collect_backward(const bp::Call<T>& call) const {
  const auto a = call.input(0), delta = call.delta();
  const std::int64_t F = a.columns();
  const Moments<T> moment = moments(call);
  for_each_run(
      call,
      [&](std::int64_t row, std::int64_t rows) {
        add_products<T>(rows, F, a.data() + row * F, delta.data() + row * F, moment.mean, moment.inverse,
                        call.backward_sums(), call.backward_sums() + F);
      },
      kNothing);
}

template <class T>
void BatchNorm::backward(const bp::Call<T>& call) const {
  // forward was:  z = γ·(a − μ)/√(σ² + ε) + β, where μ and σ² see every a of the batch
  const auto a = call.input(0), delta = call.delta();
  const std::int64_t F = a.columns();
  const Moments<T> moment = moments(call);
  if (const auto d_a = call.d_input(0)) {
    // In evaluation μ and σ² are constants, and nothing is taken off δ.
    T *mean_delta = moment.spare[0], *slope = moment.spare[1];
    std::fill_n(mean_delta, F, T(0));
    std::fill_n(slope, F, T(0));
    if (call.training()) {
      const double n = Sums(call.forward_sums(), F).n, *sum = call.backward_sums(), *product = sum + F;
      for (std::int64_t f = 0; f < F; ++f) {
        slope[f] = static_cast<T>(moment.products(f, sum[f], product[f]) / n) * moment.inverse[f];
        mean_delta[f] = static_cast<T>(sum[f] / n - moment.rest[f] * slope[f]);
      }
    }
    for_each_run(
        call,
        [&](std::int64_t row, std::int64_t rows) {
          normalize_backward<T>(rows, F, a.data() + row * F, delta.data() + row * F, moment.mean, moment.scale,
                                mean_delta, slope, d_a.data() + row * F);
        },
        [&](std::int64_t row, std::int64_t rows) { std::fill_n(d_a.data() + row * F, rows * F, T(0)); });
  }
  const auto d_gamma = call.d_parameter(kGamma), d_beta = call.d_parameter(kBeta);
  if (!d_gamma && !d_beta) return;
  std::fill_n(moment.sums, 2 * F, 0.0);
  for_each_run(
      call,
      [&](std::int64_t row, std::int64_t rows) {
        add_products<T>(rows, F, a.data() + row * F, delta.data() + row * F, moment.mean, moment.inverse, moment.sums,
                        moment.sums + F);
      },
      kNothing);
  for (std::int64_t f = 0; f < F; ++f) {
    if (d_beta) d_beta[f] += static_cast<T>(moment.sums[f]);
    if (d_gamma) d_gamma[f] += static_cast<T>(moment.products(f, moment.sums[f], moment.sums[F + f]));
  }
}

template <class T>
void BatchNorm::update_state(const bp::Call<T>& call) const {
  if (!call.training()) return;
  const auto running_mean = call.state(kRunningMean), running_variance = call.state(kRunningVariance);
  const std::int64_t F = running_mean.size();
  const Sums batch(call.forward_sums(), F);
  for (std::int64_t f = 0; f < F; ++f) {
    const Twofold sum = batch.sum(f), mean = sum / batch.n;
    const double old = running_mean[f], unbiased = batch.deviation(f, sum) / (batch.n - 1.0);
    running_mean[f] = static_cast<T>(old + momentum * ((mean.hi - old) + mean.lo));
    running_variance[f] = static_cast<T>((1.0 - momentum) * running_variance[f] + momentum * unbiased);
  }
}

template void BatchNorm::collect_forward<float>(const bp::Call<float>&) const;
template void BatchNorm::collect_forward<double>(const bp::Call<double>&) const;
template void BatchNorm::forward<float>(const bp::Call<float>&) const;
template void BatchNorm::forward<double>(const bp::Call<double>&) const;
template void BatchNorm::collect_backward<float>(const bp::Call<float>&) const;
template void BatchNorm::collect_backward<double>(const bp::Call<double>&) const;
template void BatchNorm::backward<float>(const bp::Call<float>&) const;
template void BatchNorm::backward<double>(const bp::Call<double>&) const;
template void BatchNorm::update_state<float>(const bp::Call<float>&) const;
template void BatchNorm::update_state<double>(const bp::Call<double>&) const;

}  // namespace normalization
