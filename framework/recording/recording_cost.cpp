#include "recording/recording_cost.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/median.h"
#include "recording/trace.h"
#include "files/io_thread.h"
#include "files/temporary_directory.h"

namespace backplane {

namespace {

constexpr int kTurns = 5;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds of a step without, and of one with recording.
std::pair<double, double> compare(const TracePlan& plan, const Network& network, Trainer& trainer, Arena& arena) {
  const TemporaryDirectory directory("backplane-record");
  IoThread io;
  Trace trace(directory.path("trace.h5"), plan, network, trainer, arena, io);
  std::vector<double> plain, recorded;
  for (int turn = 0; turn <= kTurns; ++turn) {
    const double without = seconds_of([&] { trainer.step(); });
    const double with = seconds_of([&] {
      trainer.step([&](const Batch& batch) { trace.copy_before_update(batch); },
                   trace.capture_rows(trainer.state().step + 1));
      trace.copy_after_update(trainer.state().step);
      io.drain();
    });
    if (turn == 0) continue;  // memory is touched for the first time
    plain.push_back(without);
    recorded.push_back(with);
  }
  return {median(plain), median(recorded)};
}

}  // namespace

RecordingCost measure_recording(const TracePlan& plan, const Network& network, Trainer& trainer, Arena& arena) {
  const RecordedSteps each({.every = config::Duration{.steps = 1}}, 1, std::int64_t{1} << 40);
  RecordingCost cost;
  const auto extra = [&](auto drop) {
    TracePlan part = plan;
    part.tensor_steps = part.statistics_steps = each;
    drop(part);
    const auto [plain, recorded] = compare(part, network, trainer, arena);
    cost.step_seconds = plain;
    return std::max(0.0, recorded - plain);
  };
  if (!plan.tensors.empty()) cost.tensor_record_seconds = extra([](TracePlan& part) { part.statistics.clear(); });
  if (!plan.statistics.empty()) cost.statistics_seconds = extra([](TracePlan& part) { part.tensors.clear(); });
  return cost;
}

double RecordingCost::share_of_run(const TracePlan& plan, std::int64_t total_steps) const {
  const double extra = static_cast<double>(plan.tensor_steps.count()) * tensor_record_seconds +
                       static_cast<double>(plan.statistics_steps.count()) * statistics_seconds;
  return extra / (static_cast<double>(total_steps) * step_seconds);
}

}  // namespace backplane
