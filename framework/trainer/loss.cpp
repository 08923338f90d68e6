#include "trainer/loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace backplane {

namespace {

/// ln Σ eᶻ. numerics: shifted by the largest z, so that the exponentials neither overflow nor all vanish.
template <class T>
double log_sum_exp(const T* z, std::int64_t count) {
  const double largest = *std::max_element(z, z + count);
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += std::exp(z[i] - largest);
  return largest + std::log(sum);
}

template <class T>
bool is_correct(const T* a, const T* target, std::int64_t outputs) {
  if (outputs == 1) return (a[0] >= T(0.5)) == (target[0] >= T(0.5));
  return std::max_element(a, a + outputs) - a == std::max_element(target, target + outputs) - target;
}

}  // namespace

Loss::Kind Loss::kind_of(const std::string& name) {
  if (name == "squared_error") return Kind::squared_error;
  if (name == "mean_squared_error") return Kind::mean_squared_error;
  if (name == "softmax_cross_entropy") return Kind::softmax_cross_entropy;
  BP_ASSERT(name == "binary_cross_entropy");
  return Kind::binary_cross_entropy;
}

Loss::Loss(const NetworkSpec& spec, const Network& network, const DataSet& data)
    : name_(spec.loss),
      kind_(kind_of(spec.loss)),
      outputs_(network.output().output_size),
      has_accuracy_(data.train.has_labels()) {
  const LayerNode& last = network.output();
  const auto fail = [&](const std::string& what, const std::string& hint) {
    throw UserError(
        ExitCode::bad_config,
        Diagnostic{.place = last.layer.place(), .what = what, .path = "network.loss: " + name_, .hint = hint});
  };
  if (kind_ == Kind::softmax_cross_entropy && last.activation)
    fail(fmt::format("the last layer '{}' has activation '{}', but softmax_cross_entropy takes its z as it is",
                     last.name(), last.activation_name),
         "leave the activation of the last layer out: softmax is part of this loss");
  if (kind_ == Kind::binary_cross_entropy && last.activation_name != "sigmoid")
    fail(fmt::format("the last layer '{}' has activation '{}', but binary_cross_entropy needs probabilities",
                     last.name(), last.activation_name),
         "give the last layer activation: sigmoid");
  if (kind_ == Kind::softmax_cross_entropy && outputs_ < 2)
    fail(fmt::format("the last layer '{}' has one output, over which softmax is always 1", last.name()),
         "give it one unit a class, or use binary_cross_entropy");
  if (data.train.has_labels()) {
    const std::int64_t representable = outputs_ == 1 ? 2 : outputs_;
    if (data.classes > representable)
      fail(fmt::format("the last layer '{}' has {} output{}, but the data has {} classes", last.name(), outputs_,
                       outputs_ == 1 ? "" : "s", data.classes),
           fmt::format("give it {} units", data.classes));
  } else if (data.target_size != outputs_) {
    fail(fmt::format("the last layer '{}' has {} output{}, but each target has {} number{}", last.name(), outputs_,
                     outputs_ == 1 ? "" : "s", data.target_size, data.target_size == 1 ? "" : "s"),
         fmt::format("give it {} units", data.target_size));
  }
}

template <class T>
void Loss::evaluate(const T* z, const T* a, const T* target, std::int64_t rows, double* losses,
                    std::uint8_t* correct) const {
  const std::int64_t F = outputs_;
  for (std::int64_t n = 0; n < rows; ++n, z += F, a += F, target += F) {
    double loss = 0.0;
    switch (kind_) {
      case Kind::squared_error:
      case Kind::mean_squared_error:
        for (std::int64_t i = 0; i < F; ++i) loss += (double(a[i]) - target[i]) * (double(a[i]) - target[i]);
        loss *= kind_ == Kind::squared_error ? 0.5 : 1.0 / static_cast<double>(F);
        break;
      case Kind::softmax_cross_entropy: {
        const double normalizer = log_sum_exp(z, F);
        for (std::int64_t i = 0; i < F; ++i) loss += target[i] * (normalizer - z[i]);  // −q ln p
        break;
      }
      case Kind::binary_cross_entropy:
        // numerics: −y ln a − (1−y) ln(1−a) with a = 1/(1+e⁻ᶻ) is max(z, 0) − y z + ln(1 + e^−|z|).
        for (std::int64_t i = 0; i < F; ++i)
          loss +=
              std::max(double(z[i]), 0.0) - double(target[i]) * z[i] + std::log1p(std::exp(-std::abs(double(z[i]))));
        loss /= static_cast<double>(F);
        break;
    }
    losses[n] = loss;
    correct[n] = has_accuracy_ && is_correct(a, target, F) ? 1 : 0;
  }
}

template <class T>
void Loss::gradient(const T* z, const T* a, const T* target, std::int64_t rows, double scale, T* out) const {
  const std::int64_t F = outputs_;
  const double factor = kind_ == Kind::mean_squared_error     ? 2.0 * scale / static_cast<double>(F)
                        : kind_ == Kind::binary_cross_entropy ? scale / static_cast<double>(F)
                                                              : scale;
  for (std::int64_t n = 0; n < rows; ++n, z += F, a += F, target += F, out += F) {
    if (kind_ == Kind::softmax_cross_entropy) {
      // δ = p Σq − q; Σq is 1 for labels, and kept for targets that are no distribution.
      const double normalizer = log_sum_exp(z, F);
      double total = 0.0;
      for (std::int64_t i = 0; i < F; ++i) total += target[i];
      for (std::int64_t i = 0; i < F; ++i)
        out[i] = static_cast<T>(factor * (std::exp(z[i] - normalizer) * total - target[i]));
    } else {
      for (std::int64_t i = 0; i < F; ++i) out[i] = static_cast<T>(factor * (double(a[i]) - target[i]));
    }
  }
}

template void Loss::evaluate(const float*, const float*, const float*, std::int64_t, double*, std::uint8_t*) const;
template void Loss::evaluate(const double*, const double*, const double*, std::int64_t, double*, std::uint8_t*) const;
template void Loss::gradient(const float*, const float*, const float*, std::int64_t, double, float*) const;
template void Loss::gradient(const double*, const double*, const double*, std::int64_t, double, double*) const;

}  // namespace backplane
