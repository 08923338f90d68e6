#include <fmt/format.h>

#include "base/counted.h"
#include "losses/softmax_kernel.h"
#include "metrics/table.h"

namespace backplane::metric_kinds {

namespace {

/// The share of samples, or steps, whose right class is among the k with the largest outputs (1 less the top-k error of
/// Krizhevsky, Sutskever, Hinton 2012). Of equal outputs, those of the lower classes count as the larger ones, as a
/// stable sort puts them, so that top_1 is accuracy; PyTorch's topk leaves open which it takes. NaN counts as larger
/// than any number, and is never right.
class TopK : public MetricOf<TopK> {
 public:
  explicit TopK(const config::Node& options) : k_(options.at("k").as_integer()) {}
  std::string name() const override { return fmt::format("top_{}", k_); }
  TargetKind targets() const override { return TargetKind::labels; }
  bool more_is_better() const override { return true; }
  std::optional<Objection> objects_to_outputs(std::int64_t count) const override {
    if (k_ < count) return {};
    return Objection{
        fmt::format("would always be 1: it looks for the right class in {} of {}", k_, counted(count, "output")),
        count == 1 ? "leave it out" : fmt::format("set k to at most {}", count - 1)};
  }
  template <class T>
  void contribute(const Compared<T>& outputs, double* sums) const {
    const std::int64_t right = index_of_largest(outputs.target, outputs.count);
    const T of_right = outputs.a[right];
    std::int64_t ahead = 0;
    for (std::int64_t i = 0; i < outputs.count; ++i) {
      const bool is_behind = outputs.a[i] < of_right || (outputs.a[i] == of_right && i >= right);
      ahead += is_behind ? 0 : 1;  // itself, where it is NaN
    }
    if (ahead < k_) sums[0] += 1.0;
  }

 private:
  std::int64_t k_;
};

}  // namespace

MetricKind top_k() {
  return {.name = "top_k",
          .doc = "share of samples whose right class is among the k most probable ones",
          .options = config::Schema::map().optional("k", config::Schema::integer().at_least(1), "5",
                                                    "among how many; the metric is called top_5 then"),
          .make = make_metric<TopK>};
}

}  // namespace backplane::metric_kinds
