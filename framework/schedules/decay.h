#pragma once

#include <algorithm>

#include "schedules/table.h"

namespace backplane {

/// The options of schedules that multiply by a factor every so often. `initial`: the default factor.
inline config::Schema decay_options(const char* initial) {
  return config::Schema::map()
      .optional("factor", config::Schema::number().above(0).at_most(1), initial, "what the rate is multiplied by")
      .optional("every", config::Schema::duration(), "1 epoch", "how often");
}

/// "every", in steps.
inline std::int64_t decay_period(const config::Node& options, const ScheduleSpan& span) {
  return std::max<std::int64_t>(1, span.in_steps(config::parse_duration(options.at("every"))));
}

}  // namespace backplane
