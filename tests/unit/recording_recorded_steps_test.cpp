#include "recording/recorded_steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace backplane {
namespace {

using Steps = std::vector<std::int64_t>;

constexpr std::int64_t kStepsPerEpoch = 7;

config::Duration steps(std::int64_t count) {
  return {.steps = count, .epochs = 0};
}

/// The recorded steps of a run, one by one.
Steps recorded(const RecordedSteps& recorded, std::int64_t total) {
  Steps found;
  for (std::int64_t step = 1; step <= total; ++step)
    if (recorded.contains(step)) found.push_back(step);
  return found;
}

Steps recorded(const StepRules& rules, std::int64_t total) {
  return recorded(RecordedSteps(rules, kStepsPerEpoch, total), total);
}

/// The rules again, each as record_options.h words it.
Steps expected(const StepRules& rules, std::int64_t total) {
  Steps found;
  const std::int64_t every = rules.every ? rules.every->steps + rules.every->epochs * kStepsPerEpoch : total + 1;
  std::int64_t power = 1;
  for (std::int64_t step = 1; step <= total; ++step) {
    const bool is_power = rules.exponential > 0.0 && step == power;
    if (is_power) power = std::max(step + 1, std::int64_t(std::ceil(double(step) * rules.exponential)));
    if (step % every == 0 || step <= rules.first || step > total - rules.last || is_power ||
        std::ranges::find(rules.at, step) != rules.at.end())
      found.push_back(step);
  }
  return found;
}

TEST(RecordedSteps, AreThoseOfEachRule) {
  EXPECT_EQ(recorded({.every = steps(3)}, 10), (Steps{3, 6, 9}));
  EXPECT_EQ(recorded({.every = config::Duration{.steps = 0, .epochs = 2}}, 30), (Steps{14, 28}));
  EXPECT_EQ(recorded({.at = {9, 1, 4, 4}}, 10), (Steps{1, 4, 9}));
  EXPECT_EQ(recorded({.first = 2}, 10), (Steps{1, 2}));
  EXPECT_EQ(recorded({.last = 3}, 10), (Steps{8, 9, 10}));
  EXPECT_EQ(recorded({.exponential = 2.0}, 20), (Steps{1, 2, 4, 8, 16}));
  EXPECT_EQ(recorded({.exponential = 1.5}, 20), (Steps{1, 2, 3, 5, 8, 12, 18}));
  EXPECT_EQ(recorded({.exponential = 1.01}, 5), (Steps{1, 2, 3, 4, 5}));  // no step is named twice
}

TEST(RecordedSteps, AreNoneWithoutARuleAndNoneOfNoRun) {
  const StepRules all{.every = steps(1), .at = {1, 2}, .first = 5, .last = 5, .exponential = 2.0};
  for (const RecordedSteps& none :
       {RecordedSteps(), RecordedSteps({}, kStepsPerEpoch, 10), RecordedSteps(all, kStepsPerEpoch, 0)}) {
    EXPECT_EQ(none.count(), 0);
    for (std::int64_t step = 0; step <= 11; ++step) EXPECT_FALSE(none.contains(step)) << step;
  }
}

TEST(RecordedSteps, LieWithinTheRun) {
  const StepRules wide{.every = steps(4), .at = {3, 11, 40}, .first = 20, .last = 20, .exponential = 3.0};
  const RecordedSteps whole(wide, kStepsPerEpoch, 10);
  EXPECT_EQ(whole.count(), 10);
  EXPECT_FALSE(whole.contains(0));
  EXPECT_FALSE(whole.contains(-4));
  for (const std::int64_t beyond : {11, 12, 40}) EXPECT_FALSE(whole.contains(beyond)) << beyond;
  EXPECT_EQ(RecordedSteps({.at = {11, 40}}, kStepsPerEpoch, 10).count(), 0);
}

TEST(RecordedSteps, AreCountedAndThinnedOutAsTheyAreNamed) {
  const std::vector<std::optional<config::Duration>> multiples{
      std::nullopt, steps(1), steps(2), steps(5), steps(100), config::Duration{.steps = 0, .epochs = 1}};
  const std::vector<Steps> lists{{}, {1}, {5, 5, 10}, {2, 3, 29, 30, 31, 60}};
  for (const auto& every : multiples)
    for (const Steps& at : lists)
      for (const std::int64_t first : {0, 1, 4, 40})
        for (const std::int64_t last : {0, 1, 7, 40})
          for (const double exponential : {0.0, 1.3, 2.0})
            for (const std::int64_t total : {0, 1, 2, 10, 30, 37}) {
              const StepRules rules{
                  .every = every, .at = at, .first = first, .last = last, .exponential = exponential, .place = {}};
              const Steps want = expected(rules, total);
              RecordedSteps steps(rules, kStepsPerEpoch, total);
              const std::string which = ::testing::PrintToString(at) + " every " +
                                        std::to_string(every ? every->steps + every->epochs * kStepsPerEpoch : 0) +
                                        " first " + std::to_string(first) + " last " + std::to_string(last) +
                                        " exponential " + std::to_string(exponential) + " of " + std::to_string(total);
              ASSERT_EQ(recorded(steps, total), want) << which;
              ASSERT_EQ(steps.count(), std::ssize(want)) << which;
              for (const std::int64_t stride : {1, 2, 3, 50}) {
                Steps left;
                for (std::size_t i = 0; i < want.size(); i += static_cast<std::size_t>(stride)) left.push_back(want[i]);
                steps.thin_out(stride);
                ASSERT_EQ(recorded(steps, total), left) << which << " stride " << stride;
                ASSERT_EQ(steps.count(), std::ssize(left)) << which << " stride " << stride;
                ASSERT_FALSE(steps.contains(0) || steps.contains(total + 1)) << which << " stride " << stride;
              }
            }
}

TEST(RecordedSteps, OfALongRunAreCountedWithoutLookingAtEach) {
  constexpr std::int64_t kTotal = std::int64_t{1} << 40;
  const RecordedSteps some({.every = steps(2), .at = {4, 5, kTotal - 1}, .first = 3, .last = 2}, kStepsPerEpoch,
                           kTotal);
  // 1, 2, 3; the even ones from 4 to the last but two; 5; the last two.
  EXPECT_EQ(some.count(), 3 + (kTotal / 2 - 2) + 1 + 2);
  EXPECT_TRUE(some.contains(kTotal));
  EXPECT_FALSE(some.contains(kTotal - 3));
}

}  // namespace
}  // namespace backplane
