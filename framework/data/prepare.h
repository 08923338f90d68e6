#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/table.h"

namespace backplane {

enum class Scaling {
  none,
  unit,     ///< bytes / 255; other numbers: the training split's range to [0, 1], one range for images [H, W, C], else
            ///< one for each last-axis element
  standard  ///< every last-axis element to mean 0 and standard deviation 1 over the training split, without padding
};

/// Inputs become (x − mean) / deviation, as torchvision's Normalize has it: x is a byte / 255, or any other number as
/// stored. Each has one number, or one per last-axis element.
struct Normalization {
  std::vector<double> mean;
  std::vector<double> deviation;  ///< above 0
  Origin mean_origin;
  Origin deviation_origin;
};

/// Training samples that become another split, chosen by the seed: so many, or a fraction of them.
struct Part {
  std::int64_t count = 0;
  double fraction = 0;  ///< below 1; the count is then fraction · samples, rounded
  Origin origin{{}, {}, ExitCode::bad_config};
};

/// What is done to a data set of any format once it is loaded, in this order.
struct Preparation {
  std::optional<std::int64_t> limit;  ///< the first so many training samples; the others are dropped
  Part test{};                        ///< where the data has no test split of its own
  Part validation{};                  ///< of what the test split leaves
  Scaling scaling = Scaling::none;
  std::optional<Normalization> normalization{};  ///< instead of scaling
  std::optional<Augmentation> augmentation{};    ///< its seed is that of `prepare`
  Origin augmentation_origin{{}, {}, ExitCode::bad_config};
};

/// Both parts of a split keep the order of the file. Throws by its origin where a part would be empty or leave no
/// training sample, by the other origins where the samples' shape does not fit, and by that of the inputs where memory
/// does not suffice for the copies and for the order of batches. Scaling touches only `shift` and
/// `scale`; a feature that does not vary is shifted only.
void prepare(DataSet& data, const Preparation& preparation, std::uint64_t seed);

}  // namespace backplane
