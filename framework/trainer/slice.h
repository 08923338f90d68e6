#pragma once

#include <cstdint>

#include "network/network.h"

namespace backplane {

/// Rows of a slice, from network and batch alone, never from the machine: 1/16 of the batch, so that 16 workers have
/// one each, but not so few that the kernels lose more than a twentieth of their speed. What that costs is estimated
/// from what layers say of themselves (bp_plan_api.full_speed_samples), each weighed by its multiplications. Networks of
/// large weights get more rows, up to 64 and a quarter of the batch, so that fewer slices read them all.
std::int64_t default_slice_rows(const Network& network, std::int64_t batch_size);

}  // namespace backplane
