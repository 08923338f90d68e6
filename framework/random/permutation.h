#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "random/philox.h"

namespace backplane {

/// A permutation of [0, n) that is a function of the stream's key alone (Fisher, Yates 1938 with keyed numbers).
std::vector<std::int64_t> permutation(std::int64_t n, const Stream& stream);

/// Likewise, in place of whatever `order` holds: takes no memory.
void permute(std::span<std::int64_t> order, const Stream& stream);

}  // namespace backplane
