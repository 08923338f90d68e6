#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "inspect/print_in_child.h"

namespace backplane {

struct DiffRequest {
  std::string a, b;  ///< two checkpoints, two traces or two runs
  std::optional<std::uint64_t> tolerance_ulps;
};

/// Compares them, of runs their metrics, their traces and their newest common checkpoint. Returns whether they are
/// equal. Files are opened in children, as by inspect.
bool diff(const DiffRequest& request, const Print& print, const Print& warn);

/// What the children of diff do.
extern const ChildJob kCompareFiles, kCompareMetrics, kReadAlone;

}  // namespace backplane
