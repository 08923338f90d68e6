#include <cmath>

#include "metrics/table.h"

namespace backplane::metric_kinds {

namespace {

/// 1/F Σ |a − y|, the mean over samples, or steps: over all numbers that count, as those of a sample are F.
class MeanAbsoluteError : public MetricOf<MeanAbsoluteError> {
 public:
  std::string name() const override { return "mean_absolute_error"; }
  TargetKind targets() const override { return TargetKind::vectors; }
  bool more_is_better() const override { return false; }
  template <class T>
  void contribute(const Compared<T>& outputs, double* sums) const {
    double sum = 0.0;
    for (std::int64_t i = 0; i < outputs.count; ++i) sum += std::abs(double(outputs.a[i]) - outputs.target[i]);
    sums[0] += sum / static_cast<double>(outputs.count);
  }
};

}  // namespace

MetricKind mean_absolute_error() {
  return {.name = "mean_absolute_error",
          .doc = "1/F Σ |a − y|",
          .options = config::Schema::map(),
          .make = make_metric<MeanAbsoluteError>};
}

}  // namespace backplane::metric_kinds
