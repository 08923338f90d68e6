#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recorder/trace_type.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// A number, or a few, that stand for a whole tensor.
enum class Statistic { norm, mean, std, min, max, zeros, quantiles, histogram, cosine };

/// Their names, in the order of the enumeration: "norm", "mean", …
const std::vector<std::string>& statistic_names();

/// What a statistic stores of one tensor at one step.
struct StatisticColumn {
  std::string name;  ///< "norm"; a histogram has two, "histogram" and "histogram_range"
  Shape shape;
  TraceType element = TraceType::float64;
  std::string axis;  ///< label of the axis, where there is one
  std::string definition;
};
std::vector<StatisticColumn> columns_of(Statistic statistic);

/// Computes statistics of one tensor, step after step. Sums are float64 in an order that depends on the number of
/// elements alone. One thread at a time.
class TensorStatistics {
 public:
  explicit TensorStatistics(std::vector<Statistic> wanted);

  /// Of `count` elements, at least one. `columns`: where each column of each wanted statistic goes, in order.
  void compute(const void* data, DType dtype, std::int64_t count, const std::vector<void*>& columns);

 private:
  template <class T>
  void compute(const T* data, std::int64_t count, const std::vector<void*>& columns);

  std::vector<Statistic> wanted_;
  std::vector<double> previous_;  ///< of the last call, for the cosine
  std::vector<double> sorted_;
};

}  // namespace backplane
