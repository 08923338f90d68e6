#include "schedules/table.h"

namespace backplane::curves {

ScheduleKind constant() {
  return {.name = "constant",
          .doc = "the rate stays",
          .options = config::Schema::map(),
          .make = [](const config::Node&, const ScheduleSpan&) -> ScheduleCurve {
            return [](std::int64_t) { return 1.0; };
          }};
}

}  // namespace backplane::curves
