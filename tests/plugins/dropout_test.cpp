// Dropout: how many are dropped, that a mask depends on step and sample alone, that backward uses the same one.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>

#include "plugins/bench.h"
#include "plugins/gradients.h"

namespace backplane {
namespace {

using testing::expect_true_gradients;
using testing::LayerBench;
using testing::Numbers;

class Dropout : public testing::InBothTypes {
 protected:
  /// z where every a is 1: the mask.
  Numbers mask_of(const std::string& yaml, std::uint64_t step, std::int64_t slice, const Shape& shape = {5000},
                  std::int64_t samples = 6) const {
    LayerBench dropout("dropout", yaml, {shape}, samples, dtype());
    dropout.in_slices_of(slice).at_step(step);
    dropout.input(0, Numbers(static_cast<std::size_t>(dropout.input_size(0)), 1.0));
    return dropout.forward();
  }
};
BP_INSTANTIATE_IN_BOTH_TYPES(Dropout);

TEST_P(Dropout, KeepsTheMean) {
  // 30000 elements: the mean of the mask is 1 with deviation √(p/((1−p)·30000)); five of them are allowed.
  for (const double rate : {0.1, 0.5, 0.9}) {
    SCOPED_TRACE(rate);
    const Numbers mask = mask_of("{rate: " + std::to_string(rate) + "}", 1, 6);
    for (const double m : mask) ASSERT_TRUE(m == 0.0 || std::abs(m - 1.0 / (1.0 - rate)) < 1e-6 / (1.0 - rate)) << m;
    const double mean = std::accumulate(mask.begin(), mask.end(), 0.0) / 30000.0;
    EXPECT_NEAR(mean, 1.0, 5.0 * std::sqrt(rate / (1.0 - rate) / 30000.0));
  }
}

TEST_P(Dropout, MaskIsTheSameForAnyCutAndNoOtherStep) {
  const Numbers mask = mask_of("{}", 7, 6);
  for (const std::int64_t slice : {1, 2, 4, 5}) EXPECT_EQ(mask_of("{}", 7, slice), mask);
  const auto agreements = [&](const Numbers& other, std::size_t offset) {
    std::size_t same = 0;
    for (std::size_t i = 0; i + offset < mask.size(); ++i) same += mask[i + offset] == other[i];
    return static_cast<double>(same) / static_cast<double>(mask.size() - offset);
  };
  EXPECT_NEAR(agreements(mask_of("{}", 8, 6), 0), 0.5, 0.02) << "another step";
  EXPECT_NEAR(agreements(mask, 5000), 0.5, 0.02) << "another sample";
  EXPECT_NEAR(agreements(mask, 1), 0.5, 0.02) << "another element";
}

TEST_P(Dropout, BackwardUsesTheMaskOfForward) {
  LayerBench dropout("dropout", "{rate: 0.25}", {{3, 700}}, 2, dtype());
  const Numbers ones(static_cast<std::size_t>(dropout.input_size(0)), 1.0);
  dropout.in_slices_of(1).input(0, ones);
  const Numbers mask = dropout.forward();
  EXPECT_EQ(dropout.backward(ones).inputs[0], mask);
  EXPECT_EQ(dropout.saved(0), mask);
}

TEST_P(Dropout, EvaluationAndRateZeroChangeNothing) {
  for (const bool is_training : {false, true}) {
    LayerBench dropout("dropout", is_training ? "{rate: 0.0}" : "{rate: 0.5}", {{4}}, 1, dtype());
    if (!is_training) dropout.in_evaluation();
    dropout.input(0, {1, -2, 3, 0.5});
    EXPECT_EQ(dropout.forward(), (Numbers{1, -2, 3, 0.5}));
    EXPECT_EQ(dropout.backward({1, 2, 3, 4}).inputs[0], (Numbers{1, 2, 3, 4}));
  }
}

TEST(DropoutGradients, OfAnyShape) {
  for (const Shape& shape : {Shape{1}, Shape{9}, Shape{2, 3, 4}}) {
    LayerBench dropout("dropout", "{rate: 0.3}", {shape}, 3, DType::float64);
    expect_true_gradients(dropout.in_slices_of(2).at_step(3));
  }
}

TEST(DropoutErrors, RateOne) {
  const std::string error =
      testing::user_error_of([] { LayerBench("dropout", "{rate: 1.0}", {{2}}, 1, DType::float32); });
  EXPECT_NE(error.find("rate must be below 1"), std::string::npos) << error;
}

}  // namespace
}  // namespace backplane
