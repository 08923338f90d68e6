#include "losses/table.h"

namespace backplane::functions {

namespace {

/// 1/F Σ (a − y)², ∂/∂a = 2 (a − y) / F
class MeanSquaredError : public LossFunctionOf<MeanSquaredError> {
 public:
  template <class T>
  double of(const Compared<T>& outputs, double scale, T* gradient) const {
    const auto F = static_cast<double>(outputs.count);
    const double loss = sum_of_squares(outputs) * (1.0 / F);
    write_differences(outputs, 2.0 * scale / F, gradient);
    return loss;
  }
};

}  // namespace

LossKind mean_squared_error() {
  return {.name = "mean_squared_error",
          .doc = "1/F Σ (a − y)²",
          .options = config::Schema::map(),
          .make = make_loss<MeanSquaredError>};
}

}  // namespace backplane::functions
