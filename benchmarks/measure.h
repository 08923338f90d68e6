#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/buffer.h"

namespace backplane {

/// Small numbers of both signs, and no two rows alike.
inline Buffer filled(std::int64_t elements) {
  Buffer buffer(static_cast<std::size_t>(elements) * sizeof(float));
  for (std::int64_t i = 0; i < elements; ++i) buffer.as<float>()[i] = static_cast<float>(i % 17) * 0.01f - 0.08f;
  return buffer;
}

/// Of processor time of this thread, which others on the machine do not lengthen.
template <class Body>
double seconds(const Body& body) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  body();
  return now() - start;
}

inline double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

}  // namespace backplane
