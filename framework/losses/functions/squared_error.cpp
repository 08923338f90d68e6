#include "losses/table.h"

namespace backplane::functions {

namespace {

/// ½ Σ (a − y)², ∂/∂a = a − y. Of a sequence it stays a sum, as its formula says, so that it is the same whatever shape
/// the outputs have.
class SquaredError : public LossFunctionOf<SquaredError> {
 public:
  bool adds_steps() const override { return true; }
  template <class T>
  double of(const Compared<T>& outputs, double scale, T* gradient) const {
    const double loss = sum_of_squares(outputs) * 0.5;
    write_differences(outputs, scale, gradient);
    return loss;
  }
};

}  // namespace

LossKind squared_error() {
  return {.name = "squared_error",
          .doc = "½ Σ (a − y)²",
          .options = config::Schema::map(),
          .make = make_loss<SquaredError>};
}

}  // namespace backplane::functions
