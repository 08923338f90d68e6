#include "losses/softmax_kernel.h"
#include "metrics/table.h"

namespace backplane::metric_kinds {

namespace {

/// The share of samples, or steps, whose largest output is that of the right class; of equal ones the first counts. Of
/// one output: that lies on the right side of ½, itself on the side of 1.
class Accuracy : public MetricOf<Accuracy> {
 public:
  std::string name() const override { return "accuracy"; }
  TargetKind targets() const override { return TargetKind::labels; }
  bool more_is_better() const override { return true; }
  template <class T>
  void contribute(const Compared<T>& outputs, double* sums) const {
    if (is_right(outputs.a, outputs.target, outputs.count)) sums[0] += 1.0;
  }

 private:
  template <class T>
  static bool is_right(const T* a, const T* target, std::int64_t count) {
    if (count == 1) return (a[0] >= T(0.5)) == (target[0] >= T(0.5));
    return index_of_largest(a, count) == index_of_largest(target, count);
  }
};

}  // namespace

MetricKind accuracy() {
  return {.name = "accuracy",
          .doc = "share of samples whose most probable class is the right one",
          .options = config::Schema::map(),
          .make = make_metric<Accuracy>};
}

}  // namespace backplane::metric_kinds
