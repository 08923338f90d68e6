#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace normalization {

/// A number with twice the digits of a double: hi + lo, where lo is at most half a unit in the last place of hi.
/// Sums and products are right to about 2⁻¹⁰⁰ of their largest operand (Dekker 1971).
struct Twofold {
  double hi = 0.0, lo = 0.0;
};

/// a + b without an error.
inline Twofold exact_sum(double a, double b) {
  const double sum = a + b, b_in_sum = sum - a;
  return {sum, (a - (sum - b_in_sum)) + (b - b_in_sum)};
}

/// a·b without an error.
inline Twofold exact_product(double a, double b) {
  const double product = a * b;
  return {product, std::fma(a, b, -product)};
}

inline Twofold operator+(const Twofold& a, const Twofold& b) {
  const Twofold high = exact_sum(a.hi, b.hi), low = exact_sum(a.lo, b.lo);
  const Twofold sum = exact_sum(high.hi, high.lo + low.hi);
  return exact_sum(sum.hi, sum.lo + low.lo);
}

inline Twofold operator-(const Twofold& a) {
  return {-a.hi, -a.lo};
}

inline Twofold operator*(const Twofold& a, const Twofold& b) {
  const Twofold product = exact_product(a.hi, b.hi);
  return exact_sum(product.hi, product.lo + (a.hi * b.lo + a.lo * b.hi));
}

inline Twofold operator/(const Twofold& a, double b) {
  const double quotient = a.hi / b;
  return exact_sum(quotient, (std::fma(-quotient, b, a.hi) + a.lo) / b);
}

/// Numbers whose sums are plain sums of doubles and keep twice their digits all the same: each is four pieces, of which
/// the first three are 22 bits long, so that as many as 2³¹ of them add up without an error, and fewer where their
/// sizes differ: 2²¹ times in size leave room for a thousand. Beyond that the large ones alone make the sum, and
/// rounding loses what it loses of any sum.
constexpr std::int64_t kPieces = 4;

/// Adds the pieces of a number to piece[0], piece[stride], …; NaN where it is not finite, or 2⁹⁹³ and more.
inline void add_pieces(const Twofold& number, double* piece, std::int64_t stride) {
  // 2ᵉ ≤ |hi| < 2ᵉ⁺¹, in the bits of the exponent.
  const double power =
      std::bit_cast<double>(std::bit_cast<std::uint64_t>(number.hi) & std::uint64_t{0x7ff0000000000000});
  // Adding and taking off 1.5·2⁵² units rounds to whole units; the first are 2ᵉ⁺¹⁻²².
  double units = power * 0x1.8p31, rest = number.hi;
  for (std::int64_t i = 0; i + 1 < kPieces; ++i, units *= 0x1p-22) {
    const double rounded = (rest + units) - units;
    piece[i * stride] += rounded;
    rest -= rounded;
    if (i == 1) rest += number.lo;
  }
  piece[(kPieces - 1) * stride] += rest;
}

/// The number whose pieces, or the sum of numbers whose summed pieces, these are.
inline Twofold join_pieces(const double* piece, std::int64_t stride) {
  Twofold number{piece[0], 0.0};
  for (std::int64_t i = 1; i < kPieces; ++i) number = number + Twofold{piece[i * stride], 0.0};
  return number;
}

}  // namespace normalization
