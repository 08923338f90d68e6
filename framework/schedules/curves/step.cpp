#include <cmath>

#include "schedules/decay.h"

namespace backplane::curves {

/// factor^⌊u / every⌋
ScheduleKind step() {
  return {.name = "step",
          .doc = "multiplied once every so often",
          .options = decay_options("0.1"),
          .make = [](const config::Node& options, const ScheduleSpan& span) -> ScheduleCurve {
            return [factor = options.at("factor").as_number(), every = decay_period(options, span)](std::int64_t u) {
              return std::pow(factor, static_cast<double>(u / every));
            };
          }};
}

}  // namespace backplane::curves
