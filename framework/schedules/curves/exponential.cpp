#include <cmath>

#include "schedules/decay.h"

namespace backplane::curves {

/// factor^(u / every)
ScheduleKind exponential() {
  return {.name = "exponential",
          .doc = "the same, smoothly",
          .options = decay_options("0.95"),
          .make = [](const config::Node& options, const ScheduleSpan& span) -> ScheduleCurve {
            return [factor = options.at("factor").as_number(), every = decay_period(options, span)](std::int64_t u) {
              return std::pow(factor, static_cast<double>(u) / static_cast<double>(every));
            };
          }};
}

}  // namespace backplane::curves
