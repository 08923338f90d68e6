#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "losses/table.h"

namespace backplane::functions {

namespace {

/// −1/F Σ y ln a + (1 − y) ln(1 − a) with a = sigmoid(z), ∂/∂z = (a − y) / F. From z, so that no logarithm of a rounded
/// 0 or 1 is taken.
class BinaryCrossEntropy : public LossFunctionOf<BinaryCrossEntropy> {
 public:
  bool gives_delta() const override { return true; }
  TargetRange target_range() const override {
    return {.least = 0.0,
            .most = 1.0,
            .takes = "numbers from 0 to 1",
            .hint = "make -1 and 1 to 0 and 1, divide bytes by 255; loss: squared_error takes any numbers"};
  }
  std::optional<Objection> objects_to_activation(const std::string& activation) const override {
    if (activation == "sigmoid") return {};
    return Objection{fmt::format("has activation '{}', but binary_cross_entropy needs probabilities",
                                 activation.empty() ? "identity" : activation),
                     "give the last layer activation: sigmoid"};
  }
  template <class T>
  double of(const Compared<T>& outputs, double scale, T* gradient) const {
    const auto& [z, a, target, F] = outputs;
    double loss = 0.0;
    // numerics: −y ln a − (1−y) ln(1−a) with a = 1/(1+e⁻ᶻ) is max(z, 0) − y z + ln(1 + e^−|z|).
    for (std::int64_t i = 0; i < F; ++i)
      loss += std::max(double(z[i]), 0.0) - double(target[i]) * z[i] + std::log1p(std::exp(-std::abs(double(z[i]))));
    write_differences(outputs, scale / static_cast<double>(F), gradient);
    return loss / static_cast<double>(F);
  }
};

}  // namespace

LossKind binary_cross_entropy() {
  return {.name = "binary_cross_entropy",
          .doc = "−1/F Σ y ln a + (1 − y) ln(1 − a), a = sigmoid(z)",
          .options = config::Schema::map(),
          .make = make_loss<BinaryCrossEntropy>};
}

}  // namespace backplane::functions
