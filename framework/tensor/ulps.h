#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace backplane {

/// Distance of no number: one of two values is NaN, and their bits are not the same.
inline constexpr std::uint64_t kNoUlps = std::numeric_limits<std::uint64_t>::max();

template <class T>
using BitsOf =
    std::conditional_t<sizeof(T) == 2, std::uint16_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;

/// Whether two values of one type have the same bits: +0 and −0 have not, a NaN may have.
template <class T>
bool has_same_bits(T a, T b) {
  return std::bit_cast<BitsOf<T>>(a) == std::bit_cast<BitsOf<T>>(b);
}

/// How many steps from one floating-point number to the next lead from a to b: 0 for the same bits and for +0 and −0;
/// infinity is one step from the largest number.
template <class T>
std::uint64_t ulps_between(const T& a, const T& b) {
  using Bits = BitsOf<T>;
  const auto bits_a = std::bit_cast<Bits>(a), bits_b = std::bit_cast<Bits>(b);
  if (bits_a == bits_b) return 0;
  if (a != a || b != b) return kNoUlps;
  // Bits without the sign count the steps from zero.
  constexpr Bits kSign = static_cast<Bits>(std::uint64_t{1} << (8 * sizeof(T) - 1));
  const std::uint64_t from_zero_a = static_cast<Bits>(bits_a & ~kSign),
                      from_zero_b = static_cast<Bits>(bits_b & ~kSign);
  if ((bits_a & kSign) != (bits_b & kSign)) return from_zero_a + from_zero_b;
  return from_zero_a > from_zero_b ? from_zero_a - from_zero_b : from_zero_b - from_zero_a;
}

}  // namespace backplane
