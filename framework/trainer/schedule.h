#pragma once

#include <cstdint>

#include "schedules/table.h"

namespace backplane {

/// How the learning rate changes over a run, a function of the step alone: with t counted from 0 and W warm-up steps,
/// (t + 1) / W for t < W, then the schedule (schedules/table.h) at u = t − W.
class Schedule {
 public:
  /// `choice`: the validated `train.schedule`; durations in epochs become steps.
  Schedule(const config::Node& choice, config::Duration warmup, std::int64_t steps_per_epoch, std::int64_t total_steps);

  /// The factor of the base learning rate at optimizer step `step`, from 1.
  double factor(std::int64_t step) const;

 private:
  std::int64_t warmup_;
  ScheduleCurve curve_;
};

}  // namespace backplane
