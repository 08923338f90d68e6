#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "bench/ledger.h"
#include "bench/report.h"
#include "bench/schedule.h"
#include "bench/statistics.h"
#include "bench/usl.h"
#include "parallel/arena.h"

namespace backplane {
namespace {

std::vector<double> one_to(int n) {
  std::vector<double> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

TEST(Statistics, IntervalsAreThoseOfTheTables) {
  // Ranks of the 95 % interval of a median, as printed for the sign test (Conover 1999, table A3).
  const auto expect = [](int n, double low, double high) {
    const Interval interval = median_with_confidence(one_to(n));
    EXPECT_EQ(interval.low, low) << n;
    EXPECT_EQ(interval.high, high) << n;
    EXPECT_EQ(interval.median, (n + 1) / 2.0) << n;
  };
  expect(1, 1, 1);
  expect(5, 1, 5);
  expect(6, 1, 6);
  expect(9, 2, 8);
  expect(15, 4, 12);
  expect(25, 8, 18);
  expect(100, 40, 61);
}

TEST(Statistics, OrderDoesNotMatter) {
  EXPECT_EQ(median_with_confidence({3, 1, 2}).median, 2);
  EXPECT_EQ(quotients({2, 9}, {4, 3}), (std::vector<double>{0.5, 3}));
}

TEST(ScalabilityLaw, IsFoundAgainFromItsOwnSpeedups) {
  const ScalabilityLaw truth{.sigma = 0.03, .kappa = 0.0005};
  std::vector<MeasuredSpeedup> measured;
  for (const double n : {1.0, 2.0, 4.0, 8.0, 16.0}) measured.push_back({n, truth.speedup(n)});
  const auto found = fit_scalability(measured);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->sigma, truth.sigma, 1e-12);
  EXPECT_NEAR(found->kappa, truth.kappa, 1e-12);
  EXPECT_NEAR(*found->best_threads(), std::sqrt(0.97 / 0.0005), 1e-6);
}

TEST(ScalabilityLaw, HasNoNegativePart) {
  const auto faster_than_linear = fit_scalability({{1, 1}, {2, 2.1}, {4, 4.3}});
  ASSERT_TRUE(faster_than_linear);
  EXPECT_EQ(faster_than_linear->sigma, 0);
  EXPECT_EQ(faster_than_linear->kappa, 0);
  EXPECT_FALSE(faster_than_linear->best_threads());
}

TEST(ScalabilityLaw, NeedsTwoNumbersOfThreadsAboveOne) {
  EXPECT_FALSE(fit_scalability({{1, 1}, {2, 1.9}}));
  EXPECT_FALSE(fit_scalability({{1, 1}, {2, 1.9}, {2, 1.8}}));
}

/// Loops of bodies that take some time, with some between them.
void work(Arena& arena, int steps) {
  const auto spend = [](int microseconds) {
    const auto end = TaskLog::Clock::now() + std::chrono::microseconds(microseconds);
    while (TaskLog::Clock::now() < end) {
    }
  };
  arena.log().start(1000);
  for (int step = 0; step < steps; ++step) {
    arena.for_each(4, [&](std::int64_t i) {
      const TaskLog::Span span(arena.log(), Work::forward, 0, static_cast<std::int32_t>(i));
      spend(200);
    });
    spend(100);
    arena.for_each(1, [&](std::int64_t) {
      const TaskLog::Span span(arena.log(), Work::optimizer, 0, 0);
      spend(100);
    });
    const TaskLog::Span span(arena.log(), Work::recording);
    spend(50);
  }
  arena.log().stop();
}

TEST(Ledger, AddsUpToTheWhole) {
  for (const int threads : {1, 2, 5}) {
    Arena arena(threads);
    work(arena, 3);
    const Ledger ledger = make_ledger(arena.log());
    const double wall = 1e-9 * static_cast<double>(arena.log().duration());
    EXPECT_NEAR(ledger.whole(), threads * wall, 1e-9 * wall);
    // At least what was spent: other programs may lengthen it.
    EXPECT_GE(ledger.of(Work::forward), 3 * 4 * 200e-6);
    EXPECT_GE(ledger.of(Work::optimizer), 3 * 100e-6);
    EXPECT_GE(ledger.of(Work::recording), threads * 3 * 50e-6) << "every thread waits for the caller";
    EXPECT_GE(ledger.serial, threads * 3 * 100e-6);
    EXPECT_GE(ledger.imbalance, (threads - 1) * 3 * 100e-6) << "one body, and others had none";
    EXPECT_EQ(ledger.of(Work::backward), 0);
  }
}

TEST(StepSchedule, IsReadFromALog) {
  Arena arena(1);
  work(arena, 3);
  const StepSchedule schedule = median_step(arena.log(), 3);
  ASSERT_EQ(schedule.loops.size(), 2u);
  EXPECT_EQ(schedule.loops[0].bodies.size(), 4u);
  EXPECT_EQ(schedule.loops[1].bodies.size(), 1u);
  EXPECT_GE(schedule.loops[1].before, 100e-6);
  EXPECT_TRUE(median_step(arena.log(), 4).loops.empty()) << "six loops are no four steps";
}

TEST(StepSchedule, IsSimulatedAsThreadsTakeBodies) {
  const StepSchedule schedule{.loops = {{.before = 1, .bodies = {2, 2, 2, 2}}, {.before = 0, .bodies = {5, 1, 1}}},
                              .after = 0.5};
  EXPECT_EQ(schedule.work(), 16.5);
  EXPECT_EQ(schedule.critical_path(), 8.5);
  EXPECT_EQ(simulate(schedule, 1, {}), 16.5);
  EXPECT_EQ(simulate(schedule, 2, {}), 1 + 4 + 5 + 0.5);
  EXPECT_EQ(simulate(schedule, 3, {}), 1 + 4 + 5 + 0.5);
  EXPECT_EQ(simulate(schedule, 128, {}), 8.5);
  EXPECT_EQ(simulate(schedule, 4, {.loop = 0.25}), 8.5 + 2 * 0.25 * 2) << "two doublings, two loops";
  EXPECT_EQ(simulate(schedule, 2, {.sharing = 1}), 1 + 6 + 7.5 + 0.5) << "half of what is read was written elsewhere";
  EXPECT_EQ(simulate(schedule, 2, {.step_bytes = 60, .bandwidth = 3}), 20);
}

TEST(BenchReport, HoldsWhatWasMeasured) {
  BenchResult result{.steps_per_turn = 3, .slice_rows = 16, .environment = R"({"cpu": "any"})"};
  result.rows.push_back({.threads = 1, .batch = 32, .step = {2e-3, 1e-3, 3e-3}, .speedup = {1, 1, 1}, .digest = "ab"});
  result.rows.push_back({.threads = 2, .batch = 32, .speedup = {1.9, 1.8, 2}, .has_same_bits = false});
  result.predictions = {{1, 1}, {2, 1.95}, {64, 30}};
  const auto json = to_json(result, {});
  EXPECT_EQ(json["environment"]["cpu"], "any");
  EXPECT_EQ(json["rows"][0]["step_s"]["median"], 2e-3);
  EXPECT_EQ(json["rows"][1]["same_bits"], false);
  EXPECT_EQ(json["simulated"][2]["speedup"], 30);
  const std::string plot = speedup_plot(result, "a < b");
  EXPECT_NE(plot.find("a &lt; b"), std::string::npos);
  EXPECT_EQ(plot.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace backplane
