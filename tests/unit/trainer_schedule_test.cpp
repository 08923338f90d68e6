#include "trainer/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "config/parse.h"
#include "support/model.h"

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;

constexpr std::int64_t kStepsPerEpoch = 10, kTotal = 100;

Schedule schedule(const std::string& text, config::Duration warmup = {}) {
  return Schedule(config::validate(config::parse_value(text, "test"), schedule_schema()), warmup, kStepsPerEpoch,
                  kTotal);
}

config::Duration duration(const std::string& text) {
  return config::parse_duration(config::parse_value(text, "test"));
}

/// Factors at some steps, counted from 1.
struct Expected {
  const char* what;
  const char* schedule;
  const char* warmup;  ///< "0 steps": none
  std::vector<std::pair<std::int64_t, double>> factors;
};
class ScheduleFactor : public ::testing::TestWithParam<Expected> {};
INSTANTIATE_TEST_SUITE_P(
    ByHand, ScheduleFactor,
    ::testing::Values(
        Expected{"constant", "constant", "", {{1, 1}, {2, 1}, {100, 1}}},
        Expected{"step_by_epochs",
                 "{step: {factor: 0.5, every: 2 epochs}}",
                 "",
                 {{1, 1}, {20, 1}, {21, 0.5}, {40, 0.5}, {41, 0.25}, {100, 0.0625}}},
        Expected{"step_by_steps",
                 "{step: {factor: 0.1, every: 3 steps}}",
                 "",
                 {{1, 1}, {3, 1}, {4, 0.1}, {6, 0.1}, {7, 0.01}}},
        Expected{"step_as_it_comes", "step", "", {{1, 1}, {10, 1}, {11, 0.1}}},
        Expected{"exponential",
                 "{exponential: {factor: 0.25, every: 1 epoch}}",
                 "",
                 {{1, 1}, {6, 0.5}, {11, 0.25}, {16, 0.125}}},
        Expected{"cosine",
                 "cosine",
                 "",
                 {{1, 1}, {26, 0.5 + std::sqrt(0.125)}, {51, 0.5}, {76, 0.5 - std::sqrt(0.125)}, {101, 0}, {200, 0}}},
        Expected{"cosine_to_a_rest", "{cosine: {final: 0.2}}", "", {{1, 1}, {51, 0.6}, {101, 0.2}}},
        Expected{"warmup", "constant", "4 steps", {{1, 0.25}, {2, 0.5}, {3, 0.75}, {4, 1}, {5, 1}, {100, 1}}},
        Expected{"warmup_by_epochs", "constant", "2 epochs", {{1, 0.05}, {10, 0.5}, {20, 1}, {21, 1}}},
        Expected{"step_behind_warmup",
                 "{step: {factor: 0.5, every: 1 epoch}}",
                 "5 steps",
                 {{5, 1}, {6, 1}, {15, 1}, {16, 0.5}}},
        Expected{"cosine_behind_warmup", "cosine", "20 steps", {{20, 1}, {21, 1}, {61, 0.5}, {101, 0}}},
        Expected{"warmup_longer_than_the_run", "cosine", "200 steps", {{1, 0.005}, {100, 0.5}, {200, 1}}}),
    [](const auto& test) { return test.param.what; });

TEST_P(ScheduleFactor, IsAsComputedByHand) {
  const Expected& expected = GetParam();
  const Schedule s =
      schedule(expected.schedule, *expected.warmup != '\0' ? duration(expected.warmup) : config::Duration{});
  // A cosine of π/2 is 6e-17 in float64, a power a few roundings off.
  for (const auto& [step, factor] : expected.factors) EXPECT_NEAR(s.factor(step), factor, 1e-15) << "step " << step;
}

TEST(Schedule, OfATrainerUsesItsStepsPerEpochAndTotal) {
  // 10 samples in batches of 4 are 3 steps an epoch; 4 epochs are 12 steps, of which 3 warm up.
  const Lab lab(ExperimentText{.data = "synthetic: {random: {samples: 10, inputs: 2, targets: 1}}",
                               .layers = "{dense: {units: 1}}",
                               .train = "epochs: 4, batch_size: 4, warmup: 1 epoch, schedule: cosine, "
                                        "optimizer: {sgd: {lr: 0.6}}"});
  EXPECT_NEAR(lab.trainer.learning_rate(1), 0.2, 1e-15);
  EXPECT_NEAR(lab.trainer.learning_rate(3), 0.6, 1e-15);
  EXPECT_NEAR(lab.trainer.learning_rate(4), 0.6, 1e-15);
  EXPECT_NEAR(lab.trainer.learning_rate(7), 0.6 * 0.5 * (1 + std::cos(std::numbers::pi * 3 / 9)), 1e-15);
}

TEST(Schedule, ScalesTheStepThatIsTaken) {
  Lab lab(ExperimentText{.data = "inline: {inputs: [[3]], targets: [[5]]}",
                         .layers = "{dense: {units: 1, bias: false, init: {W: {values: [[2]]}}}}",
                         .train = "steps: 9, warmup: 4 steps, optimizer: {sgd: {lr: 0.1}}"});
  lab.trainer.step();  // ∂C/∂W = (6 − 5)·3, a quarter of the rate
  EXPECT_DOUBLE_EQ(lab.parameter(0, 0)[0], 2 - 0.025 * 3);
}

TEST(Schedule, LeftEmptyIsNone) {
  for (const char* empty : {"warmup: ", "warmup: ~", "clip: ~", "early_stopping: ~"}) {
    const ExperimentText text{.data = "inline: {inputs: [[3]], targets: [[5]]}",
                              .layers = "{dense: {units: 1}}",
                              .train = std::string("steps: 9, optimizer: sgd, ") + empty};
    // Either an error for the user or nothing: never an internal one.
    EXPECT_NO_THROW({
      try {
        const Lab lab(text);
        EXPECT_EQ(lab.trainer.learning_rate(1), 0.01) << empty;
      } catch (const UserError& error) {
        EXPECT_EQ(error.code(), ExitCode::bad_config) << error.what();
      }
    }) << empty;
  }
}

}  // namespace
}  // namespace backplane
