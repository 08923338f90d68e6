// Compiled once per instruction set (Highway's foreach_target); the best one is chosen when first called.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "random/philox_blocks.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "random/philox_blocks.h"

HWY_BEFORE_NAMESPACE();
namespace backplane::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// One block in each 64-bit lane. A word is the low half of a lane; what stands in the high half is of no account.
void philox_blocks(std::uint64_t key, std::uint64_t step, std::uint64_t sample, std::uint64_t first,
                   std::uint32_t* out) {
  const hn::CappedTag<std::uint64_t, kPhiloxBlocks> wide;
  // The product of the low halves of lanes.
  const auto product = [&](auto lanes, std::uint64_t factor) {
#if HWY_TARGET == HWY_SCALAR
    return hn::Mul(hn::And(lanes, hn::Set(wide, 0xFFFF'FFFFu)), hn::Set(wide, factor));
#else
    const hn::Repartition<std::uint32_t, decltype(wide)> narrow;
    return hn::MulEven(hn::BitCast(narrow, lanes), hn::BitCast(narrow, hn::Set(wide, factor)));
#endif
  };
  const auto low = hn::Set(wide, 0xFFFF'FFFFu);
  const auto blocks = static_cast<std::int64_t>(hn::Lanes(wide));
  for (std::int64_t begin = 0; begin < kPhiloxBlocks; begin += blocks, out += 4 * blocks) {
    auto c0 = hn::Iota(wide, first + static_cast<std::uint64_t>(begin));
    auto c1 = hn::Set(wide, sample), c2 = hn::Set(wide, step);
    auto c3 = hn::Set(wide, step >> 32);
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      const auto p0 = product(c0, 0xD2511F53u), p1 = product(c2, 0xCD9E8D57u);
      c0 = hn::Xor(hn::ShiftRight<32>(p1), hn::Xor(c1, hn::Set(wide, k0)));
      c1 = p1;
      c2 = hn::Xor(hn::ShiftRight<32>(p0), hn::Xor(c3, hn::Set(wide, k1)));
      c3 = p0;
    }
    // Words 0 and 1 of a block make the first 64 bits of its four, words 2 and 3 the second.
    hn::StoreInterleaved2(hn::Or(hn::And(c0, low), hn::ShiftLeft<32>(c1)),
                          hn::Or(hn::And(c2, low), hn::ShiftLeft<32>(c3)), wide, reinterpret_cast<std::uint64_t*>(out));
  }
}

}  // namespace backplane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace backplane {

HWY_EXPORT(philox_blocks);

void philox_blocks(std::uint64_t key, std::uint64_t step, std::uint64_t sample, std::uint64_t first,
                   std::uint32_t* out) {
  HWY_DYNAMIC_DISPATCH(philox_blocks)(key, step, sample, first, out);
}

}  // namespace backplane
#endif
