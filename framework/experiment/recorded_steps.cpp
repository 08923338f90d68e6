#include "experiment/recorded_steps.h"

#include <algorithm>
#include <cmath>

namespace backplane {

RecordedSteps::RecordedSteps(const StepRules& rules, std::int64_t steps_per_epoch, std::int64_t total_steps)
    : every_(rules.every ? rules.every->steps + rules.every->epochs * steps_per_epoch : 0),
      first_(rules.first),
      last_from_(rules.last > 0 ? total_steps - rules.last + 1 : total_steps + 1),
      total_(total_steps),
      listed_(rules.at) {
  if (rules.exponential > 0.0)
    for (std::int64_t step = 1; step <= total_steps;
         step = std::max(step + 1, static_cast<std::int64_t>(std::ceil(static_cast<double>(step) * rules.exponential))))
      listed_.push_back(step);
  std::ranges::sort(listed_);
}

bool RecordedSteps::contains(std::int64_t step) const {
  if (thinned_out_) return std::ranges::binary_search(*thinned_out_, step);
  return step <= total_ && is_named(step);
}

bool RecordedSteps::is_named(std::int64_t step) const {
  return (every_ > 0 && step % every_ == 0) || step <= first_ || step >= last_from_ ||
         std::ranges::binary_search(listed_, step);
}

std::int64_t RecordedSteps::count() const {
  if (thinned_out_) return std::ssize(*thinned_out_);
  std::int64_t count = 0;
  for (std::int64_t step = 1; step <= total_; ++step) count += is_named(step) ? 1 : 0;
  return count;
}

void RecordedSteps::thin_out(std::int64_t stride) {
  std::vector<std::int64_t> left;
  std::int64_t rank = 0;
  for (std::int64_t step = 1; step <= total_; ++step)
    if (contains(step) && rank++ % stride == 0) left.push_back(step);
  thinned_out_ = std::move(left);
}

}  // namespace backplane
