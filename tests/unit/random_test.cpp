#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <set>
#include <vector>

#include "random/permutation.h"
#include "random/philox.h"

namespace backplane {
namespace {

/// philox4x32 with 10 rounds, from Random123's examples/kat_vectors.
struct KnownAnswer {
  r123::Philox4x32::ctr_type counter;
  r123::Philox4x32::key_type key;
  std::array<std::uint32_t, 4> words;
};
const KnownAnswer kKnownAnswers[] = {
    {{{0, 0, 0, 0}}, {{0, 0}}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
     {{0xffffffff, 0xffffffff}},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
     {{0xa4093822, 0x299f31d0}},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

/// The stream and index whose block has this counter and key: (index low, index high · 2^24 | b, a, purpose).
Stream stream_of(const KnownAnswer& known) {
  return Stream(std::uint64_t{known.key[1]} << 32 | known.key[0], static_cast<Purpose>(known.counter[3]),
                known.counter[2], known.counter[1] & 0xffffff);
}
std::uint64_t index_of(const KnownAnswer& known) {
  return std::uint64_t{known.counter[1] >> 24} << 32 | known.counter[0];
}

TEST(Philox, GivesTheKnownAnswers) {
  for (const KnownAnswer& known : kKnownAnswers) {
    const auto block = r123::Philox4x32()(known.counter, known.key);
    EXPECT_TRUE(std::ranges::equal(block, known.words));
  }
}

TEST(Stream, LaysItsKeyOutInTheCounterAsDocumented) {
  for (const KnownAnswer& known : kKnownAnswers) {
    const std::uint64_t first = std::uint64_t{known.words[1]} << 32 | known.words[0];
    const std::uint64_t second = std::uint64_t{known.words[3]} << 32 | known.words[2];
    const Stream stream = stream_of(known);
    EXPECT_EQ(stream.bits(index_of(known)), first);
    EXPECT_EQ(stream.uniform(index_of(known)), std::ldexp(static_cast<double>(first >> 11), -53));
    // Box, Muller: the radius from the first pair of words, the angle from the second.
    const double radius = std::sqrt(-2.0 * std::log(std::ldexp(static_cast<double>((first >> 11) + 1), -53)));
    const double angle = 2.0 * std::numbers::pi * std::ldexp(static_cast<double>(second >> 11), -53);
    EXPECT_DOUBLE_EQ(stream.normal(index_of(known)), radius * std::cos(angle));
  }
}

TEST(RandomWords, AreRandom123sWhereverTheyBegin) {
  const std::uint64_t key = 0x0123'4567'89ab'cdef, step = 77 + (5ull << 32), sample = 9;
  const auto want = [&](std::uint64_t i) {
    const r123::Philox4x32::ctr_type counter{{static_cast<std::uint32_t>(i / 4), static_cast<std::uint32_t>(sample),
                                              static_cast<std::uint32_t>(step),
                                              static_cast<std::uint32_t>(step >> 32)}};
    return r123::Philox4x32()(counter,
                              {{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}})[i % 4];
  };
  for (const std::uint64_t first : {0ull, 1ull, 3ull, 62ull, 64ull, 1'000'003ull, (1ull << 32) - 300})
    for (const std::int64_t count : {0, 1, 2, 5, 63, 64, 65, 128, 300}) {
      std::vector<std::uint32_t> words(static_cast<std::size_t>(count) + 1, 0xDEAD'BEEF);
      random_words(key, step, sample, first, count, words.data());
      for (std::int64_t i = 0; i < count; ++i)
        ASSERT_EQ(words[static_cast<std::size_t>(i)], want(first + static_cast<std::uint64_t>(i)))
            << "first " << first << ", count " << count << ", word " << i;
      ASSERT_EQ(words.back(), 0xDEAD'BEEF) << "written past the end";
    }
}

TEST(Stream, GivesOtherNumbersForEveryPartOfTheKey) {
  std::set<std::uint64_t> seen;
  for (const std::uint64_t seed : {0ull, 1ull, 1ull << 32})
    for (const Purpose purpose :
         {Purpose::initialize, Purpose::shuffle, Purpose::split, Purpose::synthesize, Purpose::check})
      for (const std::uint64_t a : {0u, 1u, 0xffffffffu})
        for (const std::uint64_t b : {0u, 1u, 0xffffffu})
          for (const std::uint64_t index : {0ull, 1ull, 1ull << 32, (1ull << 40) - 1})
            seen.insert(Stream(seed, purpose, a, b).bits(index));
  EXPECT_EQ(seen.size(), 3u * 5 * 3 * 3 * 4);
}

TEST(Stream, IsAFunctionOfTheIndexAlone) {
  const Stream stream(5, Purpose::check, 2, 3);
  const std::uint64_t late = stream.bits(1000);
  for (std::uint64_t i = 0; i < 1000; ++i) stream.bits(i);
  EXPECT_EQ(stream.bits(1000), late);
  EXPECT_EQ(Stream(5, Purpose::check, 2, 3).bits(1000), late);
}

TEST(Stream, RefusesKeysThatDoNotFit) {
  EXPECT_ANY_THROW(Stream(0, Purpose::check, 1ull << 32, 0));
  EXPECT_ANY_THROW(Stream(0, Purpose::check, 0, 1ull << 24));
}

constexpr std::uint64_t kDraws = 200'000;

// The draws below are fixed by their seed, so these tests never fail by chance. Bounds are five standard deviations of
// the statistic for perfectly random numbers: a sound generator stays inside for all but one seed in a million.

TEST(Stream, UniformIsInRangeWithTheMomentsOfAUniform) {
  const Stream stream(1, Purpose::check);
  double sum = 0, squares = 0, lagged = 0, before = 0.5;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double x = stream.uniform(i);
    ASSERT_TRUE(x >= 0.0 && x < 1.0);
    sum += x;
    squares += (x - 0.5) * (x - 0.5);
    lagged += (x - 0.5) * (before - 0.5);
    before = x;
  }
  const double n = kDraws;
  EXPECT_NEAR(sum / n, 0.5, 5 * std::sqrt(1 / (12 * n)));
  EXPECT_NEAR(squares / n, 1.0 / 12, 5 * std::sqrt(1 / (180 * n)));  // Var (x − ½)² = 1/80 − 1/144 = 1/180
  EXPECT_NEAR(lagged / n, 0.0, 5 / (12 * std::sqrt(n)));
}

TEST(Stream, NormalHasTheMomentsAndTailsOfANormal) {
  const Stream stream(2, Purpose::check);
  double sum = 0, squares = 0, cubes = 0, n = kDraws;
  std::map<int, int> beyond;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double x = stream.normal(i);
    ASSERT_TRUE(std::isfinite(x));
    sum += x, squares += x * x, cubes += x * x * x;
    for (const int sigma : {1, 2, 3}) beyond[sigma] += x > sigma, beyond[-sigma] += x < -sigma;
  }
  EXPECT_NEAR(sum / n, 0.0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(cubes / n, 0.0, 5 * std::sqrt(15 / n));
  for (const auto& [sigma, count] : beyond) {
    const double p = 0.5 * std::erfc(std::abs(sigma) / std::numbers::sqrt2);
    EXPECT_NEAR(count, n * p, 5 * std::sqrt(n * p * (1 - p))) << sigma << " standard deviations";
  }
}

TEST(Stream, BelowIsEvenAndInRange) {
  const Stream stream(3, Purpose::check);
  for (const std::uint64_t n : {1u, 2u, 7u, 10u, 100u}) {
    std::vector<int> count(n);
    for (std::uint64_t i = 0; i < kDraws / 2; ++i) {
      const std::uint64_t value = stream.below(i, n);
      ASSERT_LT(value, n);
      ++count[value];
    }
    const double p = 1.0 / double(n), draws = kDraws / 2;
    for (const int c : count) EXPECT_NEAR(c, draws * p, 5 * std::sqrt(draws * p * (1 - p)) + 1e-9) << "below " << n;
  }
  const std::uint64_t large = (1ull << 63) + 1;
  for (std::uint64_t i = 0; i < 1000; ++i) ASSERT_LT(stream.below(i, large), large);
}

TEST(Permutation, HasEveryNumberOnce) {
  for (const std::int64_t n : {0, 1, 2, 3, 100, 4097}) {
    std::vector<std::int64_t> order = permutation(n, Stream(1, Purpose::shuffle)), all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    std::ranges::sort(order);
    EXPECT_EQ(order, all);
  }
}

TEST(Permutation, IsAFunctionOfSeedAndEpoch) {
  const auto order = [](std::uint64_t seed, std::uint64_t epoch) {
    return permutation(100, Stream(seed, Purpose::shuffle, epoch));
  };
  EXPECT_EQ(order(1, 0), order(1, 0));
  EXPECT_NE(order(1, 0), order(1, 1));
  EXPECT_NE(order(1, 0), order(2, 0));
}

TEST(Permutation, GivesEveryOrderEquallyOften) {
  std::map<std::vector<std::int64_t>, int> count;
  constexpr int kTrials = 24'000;
  for (std::uint64_t epoch = 0; epoch < kTrials; ++epoch) ++count[permutation(4, Stream(9, Purpose::shuffle, epoch))];
  ASSERT_EQ(count.size(), 24u);
  // Five standard deviations of a binomial with p = 1/24.
  for (const auto& [order, times] : count) EXPECT_NEAR(times, kTrials / 24.0, 5 * std::sqrt(kTrials / 24.0 * 23 / 24));
}

}  // namespace
}  // namespace backplane
