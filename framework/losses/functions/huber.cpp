#include <algorithm>
#include <cmath>

#include "losses/table.h"

namespace backplane::functions {

namespace {

/// 1/F Σ h(a − y) with h(d) = ½ d² where |d| ≤ δ, else δ (|d| − ½ δ); ∂/∂a = min(max(a − y, −δ), δ) / F  (Huber 1964)
class Huber : public LossFunctionOf<Huber> {
 public:
  explicit Huber(const config::Node& options) : delta_(options.at("delta").as_number()) {}
  template <class T>
  double of(const Compared<T>& outputs, double scale, T* gradient) const {
    const auto F = static_cast<double>(outputs.count);
    double loss = 0.0;
    for (std::int64_t i = 0; i < outputs.count; ++i) {
      const double d = double(outputs.a[i]) - outputs.target[i], size = std::abs(d);
      loss += size <= delta_ ? 0.5 * d * d : delta_ * (size - 0.5 * delta_);
      if (gradient != nullptr) gradient[i] = static_cast<T>(scale / F * std::clamp(d, -delta_, delta_));
    }
    return loss / F;
  }

 private:
  double delta_;
};

}  // namespace

LossKind huber() {
  return {.name = "huber",
          .doc = "1/F Σ of ½ (a − y)², straight beyond δ",
          .options = config::Schema::map().optional("delta", config::Schema::number().above(0), "1",
                                                    "δ, from which on the loss grows no faster"),
          .make = make_loss<Huber>};
}

}  // namespace backplane::functions
