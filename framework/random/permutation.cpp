#include "random/permutation.h"

#include <numeric>
#include <utility>

namespace backplane {

std::vector<std::int64_t> permutation(std::int64_t n, const Stream& stream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  permute(order, stream);
  return order;
}

void permute(std::span<std::int64_t> order, const Stream& stream) {
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t last = order.size(); last > 1; --last) std::swap(order[last - 1], order[stream.below(last, last)]);
}

}  // namespace backplane
