#include "recorder/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/lane_sum.h"
#include "base/multiversion.h"

namespace backplane {

namespace {

constexpr std::int64_t kBins = 64;
constexpr double kProbabilities[] = {0.05, 0.25, 0.5, 0.75, 0.95};
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <class T>
BP_MULTIVERSION double sum(const T* x, std::int64_t count) {
  return kernels::lane_sum<double>(count, [&](std::int64_t i) { return static_cast<double>(x[i]); });
}

/// Σ (x − center)²
template <class T>
BP_MULTIVERSION double sum_of_squares(const T* x, std::int64_t count, double center) {
  return kernels::lane_sum<double>(count, [&](std::int64_t i) {
    const double distance = static_cast<double>(x[i]) - center;
    return distance * distance;
  });
}

template <class T>
BP_MULTIVERSION double dot(const T* x, const double* y, std::int64_t count) {
  return kernels::lane_sum<double>(count, [&](std::int64_t i) { return static_cast<double>(x[i]) * y[i]; });
}

template <class T>
BP_MULTIVERSION std::int64_t count_zeros(const T* x, std::int64_t count) {
  return kernels::lane_sum<std::int64_t>(count, [&](std::int64_t i) { return x[i] == T{0} ? 1 : 0; });
}

/// Of the elements that `counts`, which leaves out NaN; NaN where there are none.
struct Range {
  double low = kNaN, high = kNaN;
};
template <class T, class Counts>
Range range_of(const T* x, std::int64_t count, Counts counts) {
  Range range;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(x[i]);
    if (!counts(value)) continue;
    if (!(value >= range.low)) range.low = value;
    if (!(value <= range.high)) range.high = value;
  }
  return range;
}

constexpr auto kNumbers = [](double value) { return !std::isnan(value); };
constexpr auto kFinite = [](double value) { return std::isfinite(value); };

/// Linear between the order statistics, as NumPy's default is, but from an infinite one on itself; NaN where one
/// element is.
template <class T>
void quantiles(const T* x, std::int64_t count, std::vector<double>& sorted, double* to) {
  sorted.assign(x, x + count);
  const bool has_nan = std::any_of(sorted.begin(), sorted.end(), [](double value) { return std::isnan(value); });
  auto begin = sorted.begin();
  for (const double probability : kProbabilities) {
    const double position = probability * static_cast<double>(count - 1);
    const auto low = sorted.begin() + static_cast<std::ptrdiff_t>(position);
    if (!has_nan) std::nth_element(begin, low, sorted.end());
    const auto high = low + 1 == sorted.end() ? low : std::min_element(low + 1, sorted.end());
    const double part = position - std::floor(position);
    *to++ = has_nan ? kNaN : part == 0.0 || std::isinf(*low) ? *low : *low + part * (*high - *low);
    begin = low;
  }
}

template <class T>
void histogram(const T* x, std::int64_t count, const Range& range, std::int64_t* bins) {
  std::fill_n(bins, kBins, 0);
  const double scale = std::isinf(range.high - range.low) ? 0.5 : 1.0;  // so that the width is a number
  const double width = range.high * scale - range.low * scale;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(x[i]);
    if (!kFinite(value)) continue;
    const double place = width > 0.0 ? (value * scale - range.low * scale) / width * kBins : 0.0;
    ++bins[std::min(static_cast<std::int64_t>(place), kBins - 1)];
  }
}

}  // namespace

const std::vector<std::string>& statistic_names() {
  static const std::vector<std::string> kNames{"norm",  "mean",      "std",       "min",   "max",
                                               "zeros", "quantiles", "histogram", "cosine"};
  return kNames;
}

std::vector<StatisticColumn> columns_of(Statistic statistic) {
  const std::string& name = statistic_names()[static_cast<std::size_t>(statistic)];
  const auto number = [&](const char* definition) {
    return std::vector<StatisticColumn>{{.name = name, .shape = {}, .axis = "", .definition = definition}};
  };
  switch (statistic) {
    case Statistic::norm: return number("square root of the sum of squares of all elements");
    case Statistic::mean: return number("mean of all elements");
    case Statistic::std: return number("standard deviation of all elements, divided by their number");
    case Statistic::min: return number("smallest element; NaN left out");
    case Statistic::max: return number("largest element; NaN left out");
    case Statistic::zeros: return number("share of elements that are 0");
    case Statistic::cosine:
      return number("cosine between the tensor and itself at the step recorded before; NaN at the first");
    case Statistic::quantiles:
      return {{.name = name,
               .shape = {static_cast<std::int64_t>(std::size(kProbabilities))},
               .axis = "quantile",
               .definition = "quantiles 0.05, 0.25, 0.5, 0.75, 0.95, linear between elements"}};
    case Statistic::histogram:
      return {{.name = name,
               .shape = {kBins},
               .element = TraceType::int64,
               .axis = "bin",
               .definition = "finite elements in each of equally wide bins from end to end of histogram_range"},
              {.name = name + "_range", .shape = {2}, .axis = "end", .definition = "lower and upper end of all bins"}};
  }
  throw InternalError("no such statistic");
}

TensorStatistics::TensorStatistics(std::vector<Statistic> wanted) : wanted_(std::move(wanted)) {}

void TensorStatistics::compute(const void* data, DType dtype, std::int64_t count, const std::vector<void*>& columns) {
  dispatch(dtype, [&]<class T>(T) { compute(static_cast<const T*>(data), count, columns); });
}

template <class T>
void TensorStatistics::compute(const T* data, std::int64_t count, const std::vector<void*>& columns) {
  const auto n = static_cast<double>(count);
  auto column = columns.begin();
  for (const Statistic statistic : wanted_) {
    auto* to = static_cast<double*>(*column++);
    switch (statistic) {
      case Statistic::norm: *to = std::sqrt(sum_of_squares(data, count, 0.0)); break;
      case Statistic::mean: *to = sum(data, count) / n; break;
      case Statistic::std: *to = std::sqrt(sum_of_squares(data, count, sum(data, count) / n) / n); break;
      case Statistic::min: *to = range_of(data, count, kNumbers).low; break;
      case Statistic::max: *to = range_of(data, count, kNumbers).high; break;
      case Statistic::zeros: *to = static_cast<double>(count_zeros(data, count)) / n; break;
      case Statistic::quantiles: quantiles(data, count, sorted_, to); break;
      case Statistic::histogram: {
        const Range range = range_of(data, count, kFinite);
        histogram(data, count, range, reinterpret_cast<std::int64_t*>(to));
        auto* ends = static_cast<double*>(*column++);
        ends[0] = range.low;
        ends[1] = range.high;
        break;
      }
      case Statistic::cosine: {
        const bool has_previous = std::ssize(previous_) == count;
        const double squares = sum_of_squares(data, count, 0.0);
        // x·y / |x||y|, where |x|²|y|² may be too small or too large for a number
        *to = has_previous ? dot(data, previous_.data(), count) / squares *
                                 std::sqrt(squares / sum_of_squares(previous_.data(), count, 0.0))
                           : kNaN;
        previous_.assign(data, data + count);
        break;
      }
    }
  }
}

}  // namespace backplane
