#pragma once

#include <algorithm>
#include <vector>

namespace backplane {

/// The number in the middle; of an even count the mean of the two that are. REQUIRES: there are some.
inline double median(std::vector<double> values) {
  const auto upper = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), upper, values.end());
  return values.size() % 2 == 1 ? *upper : (*std::max_element(values.begin(), upper) + *upper) / 2;
}

}  // namespace backplane
