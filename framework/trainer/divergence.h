#pragma once

#include <string>

#include "trainer/executor.h"

namespace backplane {

/// What a message says where a loss or a gradient is not finite.
struct Divergence {
  std::string data;  ///< how large the numbers of the batch are: "; its largest number is …"; empty where that is usual
  std::string remedy;  ///< what helps most often
};

/// Looks for the cause among the samples: numbers of a size that no learning rate makes up for, and before the first
/// update (`is_first`), when no learning rate has done anything yet, whatever size they have.
Divergence explain_divergence(const Batch& batch, const Loss& loss, bool is_first);

}  // namespace backplane
