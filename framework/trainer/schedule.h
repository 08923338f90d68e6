#pragma once

#include <cstdint>

#include "config/schema.h"

namespace backplane {

/// The schema of `train.schedule`.
config::Schema schedule_schema();

/// How the learning rate changes over a run: η(t) = base · warm-up(t) · schedule(t), a function of the step alone.
/// With t counted from 0, W warm-up steps, T steps in all and u = t − W:
///
///   warm-up      (t + 1) / W for t < W; the schedule starts behind it
///   constant     1
///   step         factor^⌊u / every⌋
///   exponential  factor^(u / every)
///   cosine       final + (1 − final) · ½(1 + cos(π u / (T − W)))            Loshchilov, Hutter 2017
class Schedule {
 public:
  /// `choice`: the validated `train.schedule`; durations in epochs become steps.
  Schedule(const config::Node& choice, config::Duration warmup, std::int64_t steps_per_epoch, std::int64_t total_steps);

  /// The factor of the base learning rate at optimizer step `step`, from 1.
  double factor(std::int64_t step) const;

 private:
  enum class Kind { constant, step, exponential, cosine };
  Kind kind_ = Kind::constant;
  double factor_ = 1.0;
  double final_ = 0.0;
  std::int64_t every_ = 1;
  std::int64_t warmup_ = 0;
  std::int64_t total_ = 1;
};

}  // namespace backplane
