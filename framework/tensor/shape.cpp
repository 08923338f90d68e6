#include "tensor/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace backplane {

std::int64_t element_count(const Shape& shape) {
  constexpr std::int64_t kMost = std::int64_t{1} << 48;
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    BP_ASSERT(extent >= 0);
    if (extent != 0 && count > kMost / extent)
      throw UserError(ExitCode::bad_config,
                      fmt::format("a tensor of shape {} has too many elements", to_string(shape)));
    count *= extent;
  }
  return count;
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace backplane
