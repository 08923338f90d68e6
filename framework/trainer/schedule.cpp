#include "trainer/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace backplane {

using config::Schema;

Schema schedule_schema() {
  const auto decay = [](const char* factor) {
    return Schema::map()
        .optional("factor", Schema::number().above(0).at_most(1), factor, "what the rate is multiplied by")
        .optional("every", Schema::duration(), "1 epoch", "how often");
  };
  return Schema::choice("schedule")
      .alternative("constant", Schema::map(), "the rate stays")
      .alternative("step", decay("0.1"), "multiplied once every so often")
      .alternative("exponential", decay("0.95"), "the same, smoothly")
      .alternative("cosine",
                   Schema::map().optional("final", Schema::number().at_least(0).at_most(1), "0",
                                          "where the rate ends, as a part of the first"),
                   "half a cosine down to `final`");
}

namespace {
std::int64_t in_steps(config::Duration duration, std::int64_t steps_per_epoch) {
  return duration.steps + duration.epochs * steps_per_epoch;
}
}  // namespace

Schedule::Schedule(const config::Node& choice, config::Duration warmup, std::int64_t steps_per_epoch,
                   std::int64_t total_steps)
    : warmup_(in_steps(warmup, steps_per_epoch)), total_(total_steps) {
  const std::string& name = choice.chosen();
  const config::Node& options = choice.choice();
  if (name == "step" || name == "exponential") {
    kind_ = name == "step" ? Kind::step : Kind::exponential;
    factor_ = options.at("factor").as_number();
    every_ = std::max<std::int64_t>(1, in_steps(config::parse_duration(options.at("every")), steps_per_epoch));
  } else if (name == "cosine") {
    kind_ = Kind::cosine;
    final_ = options.at("final").as_number();
  }
}

double Schedule::factor(std::int64_t step) const {
  const std::int64_t t = step - 1;
  if (t < warmup_) return static_cast<double>(t + 1) / static_cast<double>(warmup_);
  const std::int64_t u = t - warmup_;
  switch (kind_) {
    case Kind::constant: return 1.0;
    case Kind::step: return std::pow(factor_, static_cast<double>(u / every_));
    case Kind::exponential: return std::pow(factor_, static_cast<double>(u) / static_cast<double>(every_));
    case Kind::cosine: {
      const double part =
          std::min(1.0, static_cast<double>(u) / static_cast<double>(std::max<std::int64_t>(1, total_ - warmup_)));
      return final_ + (1.0 - final_) * 0.5 * (1.0 + std::cos(std::numbers::pi * part));
    }
  }
  return 1.0;
}

}  // namespace backplane
