#pragma once

#include <cstdint>

namespace backplane {

/// How many blocks of Philox are made at once, and the 32-bit words in them.
inline constexpr std::int64_t kPhiloxBlocks = 16, kPhiloxWords = 4 * kPhiloxBlocks;

/// Blocks [first, first + kPhiloxBlocks) of Philox4x32-10 with `key`, the counter of block i being
/// {i, sample, low half of step, high half of step}. Random123's bits, in the vectors of the CPU at hand.
void philox_blocks(std::uint64_t key, std::uint64_t step, std::uint64_t sample, std::uint64_t first,
                   std::uint32_t* out);

}  // namespace backplane
