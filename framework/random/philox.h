#pragma once

#include <array>
#include <cstdint>

namespace backplane {

/// What a random number is for. Part of every key: two purposes never share numbers. Values are part of what makes a
/// run reproducible: add, never renumber.
enum class Purpose : std::uint32_t {
  initialize = 1,  ///< parameters at the start
  shuffle = 2,     ///< order of samples in an epoch
  split = 3,       ///< which samples become the validation split
  synthesize = 4,  ///< synthetic data
  check = 5,       ///< which elements a gradient check looks at
  augment = 6,     ///< how a training sample is changed in an epoch
  layer = 7,       ///< the key of each layer, for random_words
  generate = 8,    ///< text drawn from a model
};

/// A stream of random numbers that is a pure function of its key: number `index` of a stream does not depend on what
/// was drawn before, so there is no generator state, and threads cannot change what is drawn.
///
/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), from Random123.
/// The 64-bit seed is the Philox key; purpose, `a` and `b` (layer, epoch, sample, … as the purpose needs) and the
/// index fill the counter. a < 2^32, b < 2^24; index < 2^40. Copyable; all functions are const. [any thread]
class Stream {
 public:
  Stream(std::uint64_t seed, Purpose purpose, std::uint64_t a = 0, std::uint64_t b = 0);

  /// 64 random bits.
  std::uint64_t bits(std::uint64_t index) const;
  /// Uniform in [0, 1), with 53 random bits.
  double uniform(std::uint64_t index) const;
  /// Standard normal (Box, Muller 1958).
  double normal(std::uint64_t index) const;
  /// Uniform in [0, n), n >= 1, without bias worth naming (128-bit product; Lemire 2019 without the rejection:
  /// the bias is below n / 2^64).
  std::uint64_t below(std::uint64_t index, std::uint64_t n) const;

 private:
  std::array<std::uint32_t, 4> block(std::uint64_t index) const;

  std::uint64_t seed_;
  std::uint32_t purpose_;
  std::uint32_t a_;
  std::uint32_t b_;
};

/// Fills out[0, count) with 32 random bits each: number i is a function of (key, step, sample, first + i) alone.
/// Philox4x32-10 with `key`; step, sample and a quarter of the index fill the counter. Keys of layers are drawn from
/// streams, so that they share nothing with the streams above. REQUIRES: first + count ≤ 2^32, sample < 2^32.
/// [any thread]
void random_words(std::uint64_t key, std::uint64_t step, std::uint64_t sample, std::uint64_t first, std::int64_t count,
                  std::uint32_t* out);

}  // namespace backplane
