#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

namespace backplane {

/// What is compared: the outputs of one sample, or of one step of it, and its target; `count` numbers each.
template <class T>
struct Compared {
  const T *z, *a, *target;
  std::int64_t count;
};

/// Why a last layer does not go with a loss: "has activation 'relu', but …", and what to do.
struct Objection {
  std::string what, hint;
};

/// What targets a loss takes.
struct TargetRange {
  double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();
  const char* takes = "";  ///< "numbers from 0 to 1"
  const char* hint = "";
};

/// The loss of one sample, or of one step of a sequence, as a function of outputs and target. Const and thread-safe.
class LossFunction {
 public:
  virtual ~LossFunction() = default;
  /// The loss; where `gradient` is not nullptr, also scale · ∂loss/∂a, or ∂loss/∂z where gives_delta. Sums are of
  /// float64.
  virtual double evaluate(const Compared<float>& outputs, double scale, float* gradient) const = 0;
  virtual double evaluate(const Compared<double>& outputs, double scale, double* gradient) const = 0;

  /// Whether gradients are of z: the loss and the last activation are one function, which is more exact.
  virtual bool gives_delta() const { return false; }
  /// Whether targets are probabilities of classes, which stand along the last axis.
  virtual bool is_of_classes() const { return false; }
  /// Whether the loss of a sequence of target vectors is the sum over its steps, not their mean.
  virtual bool adds_steps() const { return false; }
  virtual TargetRange target_range() const { return {}; }
  /// `activation`: of the last layer; "" where z goes on as it is.
  virtual std::optional<Objection> objects_to_activation(const std::string& /*activation*/) const { return {}; }
  /// `count`: numbers that one target goes with; `has_steps`: of each of several steps.
  virtual std::optional<Objection> objects_to_outputs(std::int64_t /*count*/, bool /*has_steps*/) const { return {}; }
};

/// A loss written once for both types: `class Huber : public LossFunctionOf<Huber>` has `template <class T> double
/// of(const Compared<T>&, double scale, T* gradient) const`.
template <class Function>
class LossFunctionOf : public LossFunction {
 public:
  double evaluate(const Compared<float>& outputs, double scale, float* gradient) const final {
    return static_cast<const Function&>(*this).of(outputs, scale, gradient);
  }
  double evaluate(const Compared<double>& outputs, double scale, double* gradient) const final {
    return static_cast<const Function&>(*this).of(outputs, scale, gradient);
  }
};

/// gradient = factor · (a − y).
template <class T>
void write_differences(const Compared<T>& outputs, double factor, T* gradient) {
  for (std::int64_t i = 0; gradient != nullptr && i < outputs.count; ++i)
    gradient[i] = static_cast<T>(factor * (double(outputs.a[i]) - outputs.target[i]));
}

/// Σ (a − y)²
template <class T>
double sum_of_squares(const Compared<T>& outputs) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < outputs.count; ++i)
    sum += (double(outputs.a[i]) - outputs.target[i]) * (double(outputs.a[i]) - outputs.target[i]);
  return sum;
}

}  // namespace backplane
