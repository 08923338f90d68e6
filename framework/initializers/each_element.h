#pragma once

#include <cmath>

#include "initializers/table.h"

namespace backplane {

/// A value for each element, a function of its index.
template <class Element>
std::vector<double> each_element(const Uninitialized& parameter, const Element& element) {
  std::vector<double> values(static_cast<std::size_t>(element_count(parameter.shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = element(i);
  return values;
}

/// Uniform in [low, high).
inline std::vector<double> uniform_between(const Uninitialized& parameter, double low, double high) {
  return each_element(parameter, [&](std::size_t i) { return low + (high - low) * parameter.stream.uniform(i); });
}

inline std::vector<double> normal_around(const Uninitialized& parameter, double mean, double deviation) {
  return each_element(parameter, [&](std::size_t i) { return mean + deviation * parameter.stream.normal(i); });
}

}  // namespace backplane
