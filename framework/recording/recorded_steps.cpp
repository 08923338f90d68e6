#include "recording/recorded_steps.h"

#include <algorithm>
#include <cmath>

namespace backplane {

RecordedSteps::RecordedSteps(const StepRules& rules, std::int64_t steps_per_epoch, std::int64_t total_steps)
    : every_(rules.every ? rules.every->steps + rules.every->epochs * steps_per_epoch : 0),
      first_(rules.first),
      last_from_(rules.last > 0 ? std::max<std::int64_t>(1, total_steps - rules.last + 1) : total_steps + 1),
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
  return step >= 1 && step <= total_ && is_named(step);
}

bool RecordedSteps::is_named(std::int64_t step) const {
  return (every_ > 0 && step % every_ == 0) || step <= first_ || step >= last_from_ ||
         std::ranges::binary_search(listed_, step);
}

std::int64_t RecordedSteps::count() const {
  if (thinned_out_) return std::ssize(*thinned_out_);
  // The ends of the run in full, and between them what is a multiple or listed.
  const std::int64_t begin = std::min(first_, total_), end = std::max(last_from_, begin + 1);
  const std::int64_t multiples = every_ > 0 && end - 1 > begin ? (end - 1) / every_ - begin / every_ : 0;
  std::int64_t others = 0;
  for (std::size_t i = 0; i < listed_.size(); ++i)
    others += listed_[i] > begin && listed_[i] < end && listed_[i] <= total_ &&
              (every_ == 0 || listed_[i] % every_ != 0) && (i == 0 || listed_[i] != listed_[i - 1]);
  return begin + multiples + others + std::max<std::int64_t>(0, total_ - end + 1);
}

void RecordedSteps::thin_out(std::int64_t stride) {
  std::vector<std::int64_t> left;
  std::int64_t rank = 0;
  for (std::int64_t step = next_after(0); step <= total_; step = next_after(step))
    if (rank++ % stride == 0) left.push_back(step);
  thinned_out_ = std::move(left);
}

/// Beyond the end where there is none.
std::int64_t RecordedSteps::next_after(std::int64_t step) const {
  if (step < first_ || step + 1 >= last_from_) return step + 1;
  std::int64_t next = last_from_;
  if (every_ > 0) next = std::min(next, (step / every_ + 1) * every_);
  if (const auto listed = std::ranges::upper_bound(listed_, step); listed != listed_.end())
    next = std::min(next, *listed);
  return next;
}

}  // namespace backplane
