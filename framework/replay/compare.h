#pragma once

#include <string>

#include "replay/replay.h"
#include "tensor/dtype.h"

namespace backplane {

/// Compares bit by bit; both point to `shape`'s elements of `dtype`.
ReplayedTensor compare_replayed(std::string name, Shape shape, DType dtype, const void* stored, const void* replayed);

}  // namespace backplane
