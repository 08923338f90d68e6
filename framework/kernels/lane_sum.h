#pragma once

#include <cstdint>

namespace backplane::kernels {

/// Σ term(i) for i in [0, count), in lanes that do not wait for one another. A compiler may not reorder additions, so
/// a plain sum is one long chain; here the order is written for vectors, and is the same for any of their widths.
/// `term` is inlined into the caller, and with it compiled for the caller's vectors (BP_MULTIVERSION).
template <class T, class Term>
[[gnu::always_inline]] inline T lane_sum(std::int64_t count, Term term) {
  constexpr std::int64_t kLanes = 16;
  T lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  for (std::int64_t lane = 0; i < count; ++lane, ++i) lanes[lane] += term(i);
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2)
    for (std::int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

}  // namespace backplane::kernels
