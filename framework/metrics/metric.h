#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "losses/loss_function.h"

namespace backplane {

/// What a metric compares outputs with.
enum class TargetKind {
  labels,  ///< a class: its target is one-hot or, of one output, the number 0 or 1
  vectors  ///< numbers, as they are given
};

/// What is measured of outputs and targets beside the loss, and never trained on. Sums are made of samples; the value
/// of a batch or a split is a function of its sums, which are float64, and added in the order of samples: it has the
/// same bits on any number of threads. Const and thread-safe.
class Metric {
 public:
  virtual ~Metric() = default;

  /// What its values are called in files and messages: the word in the YAML, or one that tells options apart ("top_5").
  /// Small letters, digits and '_'.
  virtual std::string name() const = 0;
  /// Which data it is of.
  virtual TargetKind targets() const = 0;
  /// Whether a larger value is a better one, for those who look for the best.
  virtual bool more_is_better() const = 0;
  /// Why it says nothing of `count` outputs that one target goes with: "would always be 1: …", what to do.
  virtual std::optional<Objection> objects_to_outputs(std::int64_t /*count*/) const { return {}; }

  /// How many sums it needs.
  virtual std::int64_t sums() const { return 1; }
  /// Adds to each of the sums() sums what one sample contributes; of sequences, one step within the length.
  virtual void add(const Compared<float>& outputs, double* sums) const = 0;
  virtual void add(const Compared<double>& outputs, double* sums) const = 0;
  /// Its value, of the sums over `count` ≥ 1 samples or steps: unless it says otherwise, their mean.
  virtual double value(const double* sums, std::int64_t count) const { return sums[0] / static_cast<double>(count); }
};

/// A metric written once for both types: `class Accuracy : public MetricOf<Accuracy>` has `template <class T> void
/// contribute(const Compared<T>&, double* sums) const`.
template <class Kind>
class MetricOf : public Metric {
 public:
  void add(const Compared<float>& outputs, double* sums) const final {
    static_cast<const Kind&>(*this).contribute(outputs, sums);
  }
  void add(const Compared<double>& outputs, double* sums) const final {
    static_cast<const Kind&>(*this).contribute(outputs, sums);
  }
};

}  // namespace backplane
