#include "bench/schedule.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <queue>

#include "base/error.h"
#include "base/median.h"

namespace backplane {

namespace {

constexpr double kSeconds = 1e-9;

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

double StepSchedule::work() const {
  double seconds = after;
  for (const Loop& loop : loops) seconds += loop.before + sum(loop.bodies);
  return seconds;
}

double StepSchedule::critical_path() const {
  double seconds = after;
  for (const Loop& loop : loops)
    seconds += loop.before + (loop.bodies.empty() ? 0.0 : *std::max_element(loop.bodies.begin(), loop.bodies.end()));
  return seconds;
}

StepSchedule median_step(const TaskLog& log, std::int64_t steps) {
  BP_ASSERT(log.workers() == 1);
  const auto& loops = log.loops();
  const TaskLog::Track& track = log.track(0);
  if (steps < 1 || loops.empty() || std::ssize(loops) % steps != 0 || track.dropped > 0) return {};
  const std::size_t per_step = loops.size() / static_cast<std::size_t>(steps);
  // [loop of the step][body] → the durations in each step
  std::vector<std::vector<std::vector<double>>> bodies(per_step);
  std::vector<std::vector<double>> before(per_step);
  for (const TaskLog::Body& body : track.bodies) {
    auto& of_loop = bodies[static_cast<std::size_t>(body.loop) % per_step];
    const auto index = static_cast<std::size_t>(body.index);
    if (index >= of_loop.size()) of_loop.resize(index + 1);
    of_loop[index].push_back(kSeconds * static_cast<double>(body.end - body.begin));
  }
  for (std::size_t i = 0; i < loops.size(); ++i)
    before[i % per_step].push_back(kSeconds * static_cast<double>(loops[i].begin - (i == 0 ? 0 : loops[i - 1].end)));
  StepSchedule schedule;
  for (std::size_t i = 0; i < per_step; ++i) {
    StepSchedule::Loop& loop = schedule.loops.emplace_back();
    loop.before = median(before[i]);
    for (auto& durations : bodies[i]) {
      if (std::ssize(durations) != steps) return {};
      loop.bodies.push_back(median(durations));
    }
  }
  return schedule;
}

double simulate(const StepSchedule& schedule, int threads, const ThreadCosts& costs) {
  BP_ASSERT(threads >= 1);
  const double slowdown = 1.0 + costs.sharing * (1.0 - 1.0 / threads);
  double seconds = schedule.after;
  for (const StepSchedule::Loop& loop : schedule.loops) {
    seconds += loop.before + costs.loop * std::log2(threads);
    std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
    for (int i = 0; i < threads; ++i) free_at.push(0.0);
    double end = 0.0;
    for (const double body : loop.bodies) {
      const double done = free_at.top() + body * slowdown;
      free_at.pop();
      free_at.push(done);
      end = std::max(end, done);
    }
    seconds += end;
  }
  return costs.bandwidth > 0.0 ? std::max(seconds, costs.step_bytes / costs.bandwidth) : seconds;
}

}  // namespace backplane
