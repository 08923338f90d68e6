#include "replay/compare.h"

#include "tensor/ulps.h"

namespace backplane {

ReplayedTensor compare_replayed(std::string name, Shape shape, DType dtype, const void* stored, const void* replayed) {
  ReplayedTensor found{.name = std::move(name), .shape = std::move(shape), .why_not = {}};
  found.elements = element_count(found.shape);
  dispatch(dtype, [&]<class T>(T) {
    const T *then = static_cast<const T*>(stored), *now = static_cast<const T*>(replayed);
    for (std::int64_t i = 0; i < found.elements; ++i) {
      if (has_same_bits(then[i], now[i])) continue;
      const std::uint64_t ulps = ulps_between(then[i], now[i]);
      if (found.different++ > 0 && ulps <= found.worst_ulps) continue;
      found.worst_ulps = ulps;
      found.worst_element = i;
      found.stored = static_cast<double>(then[i]);
      found.replayed = static_cast<double>(now[i]);
    }
  });
  return found;
}

}  // namespace backplane
