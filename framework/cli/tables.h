#pragma once

#include <string>

#include "checkpoint/snapshot.h"

namespace backplane::cli {

/// A checkpoint as text. Layers of at most 8 units and 8 inputs are shown number by number, as the worked example in
/// a text book is: one line per unit with z, a, ∂C/∂a and δ, one line per weight with its gradient. Of larger ones,
/// every tensor's shape, range, mean and norm.
std::string checkpoint_tables(const Snapshot& snapshot);

}  // namespace backplane::cli
