#include "trainer/schedule.h"

#include <algorithm>

namespace backplane {

Schedule::Schedule(const config::Node& choice, config::Duration warmup, std::int64_t steps_per_epoch,
                   std::int64_t total_steps) {
  ScheduleSpan span{.steps_per_epoch = steps_per_epoch};
  warmup_ = span.in_steps(warmup);
  span.steps = std::max<std::int64_t>(1, total_steps - warmup_);
  curve_ = make_schedule_curve(choice, span);
}

double Schedule::factor(std::int64_t step) const {
  const std::int64_t t = step - 1;
  return t < warmup_ ? static_cast<double>(t + 1) / static_cast<double>(warmup_) : curve_(t - warmup_);
}

}  // namespace backplane
