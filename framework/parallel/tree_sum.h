#pragma once

#include <algorithm>
#include <cstdint>

#include "base/multiversion.h"

namespace backplane {

/// parts[0][i] += … + parts[count − 1][i] for i in [begin, end), by a binary tree whose shape depends on `count`
/// alone: neighbours at distance 1, then 2, then 4, … Parts are arrays of T; the others are used as scratch. Calls for
/// disjoint ranges may run at the same time, and the ranges do not change the bits.
template <class T>
BP_MULTIVERSION void tree_sum(void* const* parts, std::int64_t count, std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kBlock = 512;  // of which 16 parts fit into the first-level cache
  for (; begin < end; begin += kBlock)
    for (std::int64_t distance = 1; distance < count; distance *= 2)
      for (std::int64_t left = 0; left + distance < count; left += 2 * distance) {
        T* to = static_cast<T*>(parts[left]);
        const T* from = static_cast<const T*>(parts[left + distance]);
        for (std::int64_t i = begin; i < std::min(begin + kBlock, end); ++i) to[i] += from[i];
      }
}

}  // namespace backplane
