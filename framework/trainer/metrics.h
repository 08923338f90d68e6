#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metrics/metric.h"
#include "trainer/loss.h"

namespace backplane {

/// The values of one split, or of one batch.
struct Metrics {
  struct Value {
    std::string name;
    double value = 0.0;
  };
  double loss = 0.0;          ///< mean over the samples
  std::vector<Value> values;  ///< one a metric, in the order of train.metrics
  std::int64_t samples = 0;

  /// Empty where no such metric was measured.
  std::optional<double> find(const std::string& name) const;
};

/// What samples add up to, in their order: Metrics are made of it.
struct MetricSums {
  double loss_sum = 0.0;         ///< of the losses of the samples; C is this divided by their count
  std::vector<double> metrics;   ///< of each metric its sums, one metric after the other
  std::int64_t predictions = 0;  ///< how many terms they have: one a sample, or one a step of each sequence

  void clear();
  MetricSums& operator+=(const MetricSums& more);
};

/// The experiment's metrics (metrics/table.h) on the outputs of its network and the targets of its data. A metric of
/// sequences is over all steps within the samples' lengths, each of which counts the same. Const and thread-safe.
class MetricSet {
 public:
  struct Entry {
    std::string name, doc;
    std::unique_ptr<const Metric> metric;
    std::size_t first_sum;  ///< where its sums begin
  };

  MetricSet() = default;  ///< none
  /// `choices`: the validated `train.metrics`; empty: the metrics that are measured unasked. Throws UserError
  /// (bad_config) where one does not go with targets or outputs, or stands there twice.
  MetricSet(const std::optional<config::Node>& choices, const Loss& loss);

  const std::vector<Entry>& entries() const { return entries_; }
  /// The one of that name; nullptr where it is not measured.
  const Metric* find(const std::string& name) const;
  /// Of all metrics together.
  std::size_t sums() const { return sums_; }
  /// Of no samples.
  MetricSums no_sums() const { return {.metrics = std::vector<double>(sums_)}; }

  /// Writes sums() numbers for each sample: what it contributes. [compute]
  template <class T>
  void evaluate(const Loss& loss, const Loss::Samples<T>& samples, double* sums) const;

  /// Makes the values of `samples` samples. Takes no memory where `made` held values of these metrics before.
  void make(const MetricSums& sums, std::int64_t samples, Metrics& made) const;

 private:
  std::vector<Entry> entries_;
  std::size_t sums_ = 0;
};

}  // namespace backplane
