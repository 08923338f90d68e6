#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/multiversion.h"

namespace backplane::kernels {

/// to (columns, rows) = fromᵀ, from (rows, columns); rows of `from` are `ld_from` elements apart, those of `to`
/// `ld_to`. The two do not overlap. [any thread]
template <class T>
BP_MULTIVERSION void transpose(std::int64_t rows, std::int64_t columns, const T* __restrict from, std::int64_t ld_from,
                               T* __restrict to, std::int64_t ld_to) {
  // Four by four elements in registers: vectors of four, for which the compiler has the shuffles of every CPU.
  typedef T Four __attribute__((vector_size(4 * sizeof(T))));
  // Blocks keep both the rows read and the rows written in the first-level cache.
  constexpr std::int64_t kBlock = 16;
  for (std::int64_t r0 = 0; r0 < rows; r0 += kBlock)
    for (std::int64_t c0 = 0; c0 < columns; c0 += kBlock) {
      const std::int64_t r1 = std::min(r0 + kBlock, rows), c1 = std::min(c0 + kBlock, columns);
      const std::int64_t whole_rows = r0 + (r1 - r0) / 4 * 4, whole_columns = c0 + (c1 - c0) / 4 * 4;
      for (std::int64_t c = c0; c < whole_columns; c += 4)
        for (std::int64_t r = r0; r < whole_rows; r += 4) {
          Four w, x, y, z;
          const T* at = from + r * ld_from + c;
          std::memcpy(&w, at, sizeof w), std::memcpy(&x, at + ld_from, sizeof x);
          std::memcpy(&y, at + 2 * ld_from, sizeof y), std::memcpy(&z, at + 3 * ld_from, sizeof z);
          const Four wx = __builtin_shufflevector(w, x, 0, 4, 1, 5), yz = __builtin_shufflevector(y, z, 0, 4, 1, 5);
          const Four WX = __builtin_shufflevector(w, x, 2, 6, 3, 7), YZ = __builtin_shufflevector(y, z, 2, 6, 3, 7);
          const Four columns_of[] = {
              __builtin_shufflevector(wx, yz, 0, 1, 4, 5), __builtin_shufflevector(wx, yz, 2, 3, 6, 7),
              __builtin_shufflevector(WX, YZ, 0, 1, 4, 5), __builtin_shufflevector(WX, YZ, 2, 3, 6, 7)};
          for (std::int64_t i = 0; i < 4; ++i) std::memcpy(to + (c + i) * ld_to + r, &columns_of[i], sizeof(Four));
        }
      for (std::int64_t r = r0; r < r1; ++r)
        for (std::int64_t c = r < whole_rows ? whole_columns : c0; c < c1; ++c)
          to[c * ld_to + r] = from[r * ld_from + c];
    }
}

}  // namespace backplane::kernels
