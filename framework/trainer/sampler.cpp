#include "trainer/sampler.h"

#include <algorithm>
#include <numeric>

#include "random/permutation.h"

namespace backplane {

Sampler::Sampler(std::int64_t count, std::int64_t batch_size)
    : count_(count), batch_size_(batch_size), batches_(count_batches(count, batch_size)) {
  order_.resize(static_cast<std::size_t>(count));
  std::iota(order_.begin(), order_.end(), 0);
}

std::int64_t Sampler::begin(std::int64_t index) const {
  if (!is_contiguous_) return std::min(index * batch_size_, count_);
  return index * (count_ / batches_) + std::min(index, count_ % batches_);  // the first batches have a row more
}

Sampler::Indices Sampler::batch(std::int64_t index) const {
  const std::int64_t first = begin(index);
  return Indices(order_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(begin(index + 1) - first));
}

void Sampler::shuffle(const Stream& stream) {
  is_contiguous_ = false;
  permute(order_, stream);
}

void Sampler::batch_contiguously() {
  // Run n is [n·batches, (n + 1)·batches): as many batches as there would be anyhow.
  is_contiguous_ = true;
  auto to = order_.begin();
  for (std::int64_t i = 0; i < batches_; ++i)
    for (std::int64_t at = i; at < count_; at += batches_) *to++ = at;
}

}  // namespace backplane
