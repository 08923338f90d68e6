#pragma once

#include <cstdint>
#include <optional>

#include "data/table.h"

namespace backplane {

enum class Scaling {
  none,
  unit,     ///< bytes / 255; other numbers: the training split's range to [0, 1]
  standard  ///< every last-axis element to mean 0 and standard deviation 1 over the training split, without padding
};

/// What is done to a data set of any format once it is loaded, in this order.
struct Preparation {
  std::optional<std::int64_t> limit;  ///< the first so many training samples; the others are dropped
  std::int64_t validation = 0;        ///< so many training samples become the validation split, chosen by the seed
  Origin validation_origin{{}, {}, ExitCode::bad_config};
  Scaling scaling = Scaling::none;
};

/// Both parts of a split keep the order of the file. Throws by `validation_origin` where no training sample would be
/// left. Scaling touches only `shift` and `scale`; a feature that does not vary is shifted only.
void prepare(DataSet& data, const Preparation& preparation, std::uint64_t seed);

}  // namespace backplane
