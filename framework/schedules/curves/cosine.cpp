#include <algorithm>
#include <cmath>
#include <numbers>

#include "schedules/table.h"

namespace backplane::curves {

using config::Schema;

/// final + (1 − final) · ½(1 + cos(π u / steps))  (Loshchilov, Hutter 2017, without restarts)
ScheduleKind cosine() {
  return {.name = "cosine",
          .doc = "half a cosine down to `final`",
          .options = Schema::map().optional("final", Schema::number().at_least(0).at_most(1), "0",
                                            "where the rate ends, as a part of the first"),
          .make = [](const config::Node& options, const ScheduleSpan& span) -> ScheduleCurve {
            return [final = options.at("final").as_number(), steps = span.steps](std::int64_t u) {
              const double part = std::min(1.0, static_cast<double>(u) / static_cast<double>(steps));
              return final + (1.0 - final) * 0.5 * (1.0 + std::cos(std::numbers::pi * part));
            };
          }};
}

}  // namespace backplane::curves
