#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "random/philox.h"

namespace backplane {

/// How many batches there are: the last may be smaller.
constexpr std::int64_t count_batches(std::int64_t samples, std::int64_t batch_size) {
  return (samples + batch_size - 1) / batch_size;
}

/// Which samples make up which batch: an order of [0, count), cut into batches of `batch_size` (the last may be
/// smaller). Starts as 0, 1, 2, …
class Sampler {
 public:
  using Indices = std::span<const std::int64_t>;

  Sampler(std::int64_t count, std::int64_t batch_size);

  std::int64_t batches() const { return batches_; }
  /// Valid until the order changes. REQUIRES: 0 ≤ index < batches().
  Indices batch(std::int64_t index) const;

  /// A permutation that is a function of the stream's key alone.
  void shuffle(const Stream& stream);

  /// Contiguous (stateful) batching: cuts the samples into `batch_size` runs of neighbours, as equal as can be. Batch i
  /// holds the i-th of each run, so that row n of a batch goes on where row n of the batch before ended. Runs that are
  /// shorter come last, and the last batches have fewer rows.
  void batch_contiguously();

 private:
  /// Where batch `index` begins in order_; where the last ends, for batches().
  std::int64_t begin(std::int64_t index) const;

  std::int64_t count_, batch_size_, batches_;
  bool is_contiguous_ = false;
  std::vector<std::int64_t> order_;  ///< all that grows with the number of samples: 8 bytes for each
};

}  // namespace backplane
