#include "data/synthetic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace backplane {
namespace {

using Numbers = std::vector<double>;
using Labels = std::vector<std::int64_t>;

TEST(DataSynthetic, XorWithoutNoiseIsTheFourCorners) {
  const DataSet data = make_xor({.samples = 4, .test = 1}, 0.0, 1);
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{0, 0, 1, 0, 0, 1, 1, 1}));
  EXPECT_EQ(std::get<Labels>(data.train.targets), (Labels{0, 1, 1, 0}));
  EXPECT_EQ(data.classes, 2);
  EXPECT_EQ(data.input_shape, Shape{2});
  EXPECT_EQ(std::get<Numbers>(data.test->inputs), (Numbers{0, 0}));
}

TEST(DataSynthetic, SpiralsWithoutNoiseLieOnTheirArms) {
  const DataSet data = make_spirals({.samples = 30}, 3, 0.5, 0.0, 7);
  const auto& points = std::get<Numbers>(data.train.inputs);
  for (std::size_t i = 0; i < 30; ++i) {
    const double radius = std::hypot(points[2 * i], points[2 * i + 1]);
    ASSERT_LT(radius, 1.0);
    const double angle = 2 * M_PI * (static_cast<double>(i % 3) / 3 + 0.5 * radius);
    EXPECT_NEAR(points[2 * i], radius * std::cos(angle), 1e-14);  // a few roundings of numbers below 1
    EXPECT_NEAR(points[2 * i + 1], radius * std::sin(angle), 1e-14);
    EXPECT_EQ(std::get<Labels>(data.train.targets)[i], static_cast<std::int64_t>(i % 3));
  }
}

TEST(DataSynthetic, SameSeedGivesSameBitsAndAnotherSeedDoesNot) {
  const auto inputs = [](std::uint64_t seed) {
    return std::get<Numbers>(make_spirals({.samples = 50}, 3, 1.0, 0.1, seed).train.inputs);
  };
  EXPECT_EQ(inputs(5), inputs(5));
  EXPECT_NE(inputs(5), inputs(6));
}

TEST(DataSynthetic, ASampleDoesNotDependOnHowManyThereAre) {
  const DataSet few = make_random({.samples = 3, .test = 2}, {2, 2}, 0, 3, 11);
  const DataSet many = make_random({.samples = 5}, {2, 2}, 0, 3, 11);
  Numbers inputs = std::get<Numbers>(few.train.inputs);
  const auto& test_inputs = std::get<Numbers>(few.test->inputs);
  inputs.insert(inputs.end(), test_inputs.begin(), test_inputs.end());
  EXPECT_EQ(inputs, std::get<Numbers>(many.train.inputs));
  Numbers targets = std::get<Numbers>(few.train.targets);
  const auto& test_targets = std::get<Numbers>(few.test->targets);
  targets.insert(targets.end(), test_targets.begin(), test_targets.end());
  EXPECT_EQ(targets, std::get<Numbers>(many.train.targets));
  EXPECT_EQ(many.target_size, 3);
  EXPECT_EQ(many.classes, 0);
}

TEST(DataSynthetic, LengthsAreFunctionsOfTheSeedAndWhatFollowsThemIsZero) {
  const DataSet all = make_random({.samples = 200}, {5, 2}, 3, 0, 11);
  const DataSet cut = make_random({.samples = 150, .test = 50}, {5, 2}, 3, 0, 11, true);
  Labels lengths = cut.train.lengths;
  lengths.insert(lengths.end(), cut.test->lengths.begin(), cut.test->lengths.end());
  EXPECT_EQ(lengths, make_random({.samples = 200}, {5, 2}, 3, 0, 11, true).train.lengths);
  for (std::int64_t length = 1; length <= 5; ++length) EXPECT_GT(std::ranges::count(lengths, length), 0) << length;
  const auto& whole = std::get<Numbers>(all.train.inputs);
  const auto& inputs = std::get<Numbers>(cut.train.inputs);
  for (std::size_t j = 0; j < inputs.size(); ++j)
    ASSERT_EQ(inputs[j], static_cast<std::int64_t>(j % 10 / 2) < lengths[j / 10] ? whole[j] : 0.0) << j;
}

TEST(DataSynthetic, RandomInputsAreStandardNormalAndLabelsUniform) {
  constexpr std::int64_t kSamples = 10000;
  const DataSet data = make_random({.samples = kSamples}, {1}, 4, 0, 3);
  double sum = 0, squares = 0;
  for (const double value : std::get<Numbers>(data.train.inputs)) {
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / kSamples, 0.0, 0.05);      // five deviations of a mean of 10000: 5 / 100
  EXPECT_NEAR(squares / kSamples, 1.0, 0.08);  // likewise: 5 · sqrt(2) / 100, rounded up
  std::vector<int> counts(4);
  for (const std::int64_t label : std::get<Labels>(data.train.targets)) ++counts.at(static_cast<std::size_t>(label));
  for (const int count : counts) EXPECT_NEAR(count, 2500, 220);  // five deviations of sqrt(10000 · 3/16) = 43
  EXPECT_EQ(data.classes, 4);
}

}  // namespace
}  // namespace backplane
