#include "losses/softmax_kernel.h"

#include <fmt/format.h>

#include "losses/table.h"

namespace backplane::functions {

namespace {

/// −Σ q ln p with p = softmax(z), ∂/∂z = p Σq − q. From z, so that no logarithm of a rounded 0 is taken.
class SoftmaxCrossEntropy : public LossFunctionOf<SoftmaxCrossEntropy> {
 public:
  bool gives_delta() const override { return true; }
  bool is_of_classes() const override { return true; }
  TargetRange target_range() const override {
    return {.least = 0.0,
            .takes = "probabilities of classes, none below 0",
            .hint = "class numbers are `labels`, not `targets`; loss: squared_error takes any numbers"};
  }
  std::optional<Objection> objects_to_activation(const std::string& activation) const override {
    if (activation.empty()) return {};
    return Objection{fmt::format("has activation '{}', but softmax_cross_entropy takes its z as it is", activation),
                     "leave the activation of the last layer out: softmax is part of this loss"};
  }
  std::optional<Objection> objects_to_outputs(std::int64_t count, bool has_steps) const override {
    if (count >= 2) return {};
    return Objection{fmt::format("has one output{}, over which softmax is always 1", has_steps ? " a step" : ""),
                     "give it one unit a class, or use binary_cross_entropy"};
  }
  template <class T>
  double of(const Compared<T>& outputs, double scale, T* gradient) const {
    return backplane::softmax_cross_entropy(outputs.z, outputs.target, outputs.count, scale, gradient);
  }
};

}  // namespace

LossKind softmax_cross_entropy() {
  return {.name = "softmax_cross_entropy",
          .doc = "−Σ y ln p, p = softmax(z)",
          .options = config::Schema::map(),
          .make = make_loss<SoftmaxCrossEntropy>};
}

}  // namespace backplane::functions
