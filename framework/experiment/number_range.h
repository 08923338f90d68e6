#pragma once

#include "config/node.h"
#include "tensor/dtype.h"

namespace backplane {

/// Refuses numbers of a validated experiment that the type in which the network computes cannot hold: those that would
/// become infinite or 0, or a decay below 1 that would become 1. Looks at what layers, optimizer, clipping and
/// penalties compute with; initial values are looked at when they are made. Throws UserError (bad_config) with every
/// finding.
void require_representable(const config::Node& document, DType dtype);

}  // namespace backplane
