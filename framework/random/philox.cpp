#include "random/philox.h"

#include <Random123/philox.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "random/philox_blocks.h"

namespace backplane {

Stream::Stream(std::uint64_t seed, Purpose purpose, std::uint64_t a, std::uint64_t b)
    : seed_(seed),
      purpose_(static_cast<std::uint32_t>(purpose)),
      a_(static_cast<std::uint32_t>(a)),
      b_(static_cast<std::uint32_t>(b)) {
  BP_ASSERT(a <= 0xFFFF'FFFFu && b < (1u << 24));
}

std::array<std::uint32_t, 4> Stream::block(std::uint64_t index) const {
  const r123::Philox4x32::key_type key{{static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)}};
  const r123::Philox4x32::ctr_type counter{
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32) << 24 | b_, a_, purpose_}};
  const r123::Philox4x32::ctr_type block = r123::Philox4x32()(counter, key);
  return {block[0], block[1], block[2], block[3]};
}

std::uint64_t Stream::bits(std::uint64_t index) const {
  const auto words = block(index);
  return static_cast<std::uint64_t>(words[1]) << 32 | words[0];
}

double Stream::uniform(std::uint64_t index) const {
  return static_cast<double>(bits(index) >> 11) * 0x1.0p-53;
}

double Stream::normal(std::uint64_t index) const {
  const auto words = block(index);
  const std::uint64_t first = static_cast<std::uint64_t>(words[1]) << 32 | words[0];
  const std::uint64_t second = static_cast<std::uint64_t>(words[3]) << 32 | words[2];
  const double radius_uniform = (static_cast<double>(first >> 11) + 1.0) * 0x1.0p-53;  // in (0, 1]: log is finite
  const double angle_uniform = static_cast<double>(second >> 11) * 0x1.0p-53;
  return std::sqrt(-2.0 * std::log(radius_uniform)) * std::cos(2.0 * std::numbers::pi * angle_uniform);
}

std::uint64_t Stream::below(std::uint64_t index, std::uint64_t n) const {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(bits(index)) * n >> 64);
}

void random_words(std::uint64_t key, std::uint64_t step, std::uint64_t sample, std::uint64_t first, std::int64_t count,
                  std::uint32_t* out) {
  while (count > 0) {
    const auto skip = static_cast<std::int64_t>(first % 4), made = std::min(count, kPhiloxWords - skip);
    std::uint32_t words[kPhiloxWords];
    philox_blocks(key, step, sample, first / 4, words);
    std::copy_n(words + skip, made, out);
    first += static_cast<std::uint64_t>(made);
    out += made;
    count -= made;
  }
}

}  // namespace backplane
