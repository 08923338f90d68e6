#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace backplane {

/// Which of `count` elements is the first that is NaN or infinite; −1 where none is.
template <class T>
std::int64_t first_non_finite(const T* values, std::int64_t count) {
  const T* found = std::find_if_not(values, values + count, [](T value) { return std::isfinite(value); });
  return found == values + count ? -1 : found - values;
}

}  // namespace backplane
