#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/schema.h"

namespace backplane {

/// The factor of the base learning rate, u steps after warm-up.
using ScheduleCurve = std::function<double(std::int64_t u)>;

/// What a schedule stretches over.
struct ScheduleSpan {
  std::int64_t steps_per_epoch = 1;
  std::int64_t steps = 1;  ///< from warm-up to the end of the run, at least 1

  std::int64_t in_steps(config::Duration duration) const { return duration.steps + duration.epochs * steps_per_epoch; }
};

/// A row of the table of schedules.
struct ScheduleKind {
  std::string name;  ///< the word in the YAML
  std::string doc;   ///< one line
  config::Schema options;
  ScheduleCurve (*make)(const config::Node& options, const ScheduleSpan& span);
};

/// All of them, as they are shown. Each is one file in curves/ and one row.
const std::vector<ScheduleKind>& schedules();

/// The schema of `train.schedule`.
config::Schema schedule_schema();

/// `choice`: the validated `train.schedule`.
ScheduleCurve make_schedule_curve(const config::Node& choice, const ScheduleSpan& span);

}  // namespace backplane
