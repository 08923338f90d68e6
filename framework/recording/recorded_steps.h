#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "recording/record_options.h"

namespace backplane {

/// The steps of a run that are recorded: a function of rules and run alone, not of what was recorded before.
class RecordedSteps {
 public:
  RecordedSteps() = default;  ///< none
  RecordedSteps(const StepRules& rules, std::int64_t steps_per_epoch, std::int64_t total_steps);

  bool contains(std::int64_t step) const;
  /// Of the whole run, if nothing ends it early.
  std::int64_t count() const;
  /// Leaves every `stride`-th of them.
  void thin_out(std::int64_t stride);

 private:
  bool is_named(std::int64_t step) const;
  std::int64_t next_after(std::int64_t step) const;

  std::int64_t every_ = 0, first_ = 0, last_from_ = 0, total_ = 0;
  std::vector<std::int64_t> listed_;                      ///< sorted
  std::optional<std::vector<std::int64_t>> thinned_out_;  ///< sorted
};

}  // namespace backplane
