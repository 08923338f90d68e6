#include "bench/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>

#include "base/error.h"
#include "base/median.h"

namespace backplane {

Interval median_with_confidence(std::vector<double> values) {
  BP_ASSERT(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  Interval interval{.median = median(values), .low = values.front(), .high = values.back()};
  // The largest k with P(fewer than k of n lie below the median) ≤ 2.5 %: the k-th from below and from above.
  const boost::math::binomial_distribution<double> below(static_cast<double>(n), 0.5);
  std::size_t k = 1;
  while (k < n / 2 && boost::math::cdf(below, static_cast<double>(k)) <= 0.025) ++k;
  interval.low = values[k - 1];
  interval.high = values[n - k];
  return interval;
}

std::vector<double> quotients(const std::vector<double>& values, const std::vector<double>& others) {
  BP_ASSERT(values.size() == others.size());
  std::vector<double> all;
  for (std::size_t i = 0; i < values.size(); ++i) all.push_back(values[i] / others[i]);
  return all;
}

}  // namespace backplane
