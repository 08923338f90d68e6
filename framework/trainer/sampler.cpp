#include "trainer/sampler.h"

#include <algorithm>
#include <numeric>

#include "random/permutation.h"

namespace backplane {

Sampler::Sampler(std::int64_t count, std::int64_t batch_size)
    : count_(count), batch_size_(batch_size), batches_((count + batch_size - 1) / batch_size) {
  order_.resize(static_cast<std::size_t>(count));
  std::iota(order_.begin(), order_.end(), 0);
  for (std::int64_t i = 0; i <= batches_; ++i) begins_.push_back(std::min(i * batch_size, count));
}

Sampler::Indices Sampler::batch(std::int64_t index) const {
  const auto i = static_cast<std::size_t>(index);
  return Indices(order_).subspan(static_cast<std::size_t>(begins_[i]),
                                 static_cast<std::size_t>(begins_[i + 1] - begins_[i]));
}

void Sampler::shuffle(const Stream& stream) {
  order_ = permutation(count_, stream);
}

void Sampler::batch_contiguously() {
  // Run n is [n·batches, (n + 1)·batches): as many batches as there would be anyhow.
  order_.clear();
  for (std::int64_t i = 0; i < batches_; ++i) {
    begins_[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(order_.size());
    for (std::int64_t at = i; at < count_; at += batches_) order_.push_back(at);
  }
}

}  // namespace backplane
