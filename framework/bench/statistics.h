#pragma once

#include <string>
#include <vector>

namespace backplane {

/// The median of measurements with the interval that holds the true one with 95 % confidence.
struct Interval {
  double median = 0.0, low = 0.0, high = 0.0;
};

/// Low and high are measurements themselves, chosen so that the binomial distribution of how many lie below the median
/// leaves them out with at most 5 % (David, Nagaraja, Order Statistics, 2003, section 7.1): nothing is assumed about
/// how times are distributed. With fewer than six, which cannot reach 95 %, they are the extremes.
/// REQUIRES: at least one value.
Interval median_with_confidence(std::vector<double> values);

/// values[i] / others[i]: what was measured in the same turn is divided, so that a machine that changes its speed
/// changes both. REQUIRES: as many of each.
std::vector<double> quotients(const std::vector<double>& values, const std::vector<double>& others);

}  // namespace backplane
