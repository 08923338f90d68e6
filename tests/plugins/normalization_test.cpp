// Normalisation: numbers from PyTorch 2.13 in float64, gradients against differences, any cut of the batch, lengths.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "plugins/bench.h"
#include "plugins/gradients.h"

namespace backplane {
namespace {

using testing::expect_close;
using testing::expect_near;
using testing::expect_true_gradients;
using testing::LayerBench;
using testing::Numbers;

BP_IN_BOTH_TYPES(Normalization);

TEST_P(Normalization, BatchNormOfTwoFeaturesByHand) {
  // Feature 0: 1, 3 has mean 2 and variance 1; feature 1: 10, 10 has variance 0.
  LayerBench norm("batch_norm", "{epsilon: 0.0}", {{2}}, 2, dtype());
  norm.input(0, {1, -2, 3, 2}).parameter(0, {3, 1}).parameter(1, {0.5, 10});
  EXPECT_EQ(norm.forward(), (Numbers{-2.5, 9, 3.5, 11}));
  // Of two values x̂ is −1 and 1 wherever they are: nothing flows back.
  const auto gradients = norm.backward({1, 2, 3, 5});
  EXPECT_EQ(gradients.inputs[0], (Numbers{0, 0, 0, 0}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{2, 3}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{4, 7}));
}

TEST_P(Normalization, BatchNormIsPyTorchs) {
  LayerBench norm("batch_norm", "{}", {{2}}, 4, dtype());
  norm.parameter(0, {2, -1}).parameter(1, {0.5, 1});
  norm.input(0, {1, 10, 2, -20, 4, 30, -3, 5});
  expect_near(norm.forward(),
              {0.5, 0.7894412814160733, 1.2844639371191704, 2.4739110300874874, 2.8533918113575116,
               -0.33353855103153596, -2.637855748476682, 1.0701862395279755},
              dtype(), 8);
  const auto gradients = norm.backward({1, -1, 0.5, 2, 0, 1, -2, 3});
  expect_near(gradients.inputs[0],
              {0.8825219292590668, 0.12031926795190968, 0.23383099119355197, -1.3276608516349893e-09,
               -0.6713189163778925, -0.02406385235123181, -0.44503400407472626, -0.09625541427301702},
              dtype(), 8);
  expect_near(gradients.parameters[0], {3.3339717327564746, -2.0354009463112916}, dtype(), 128);
  expect_near(gradients.parameters[1], {-0.5, 5}, dtype(), 128);
  norm.update_state();
  expect_near(norm.state(0), {0.1, 0.625}, dtype());
  expect_near(norm.state(1), {1.7666666666666666, 43.19166666666667}, dtype());
  // The second step is shifted by the running mean of the first, and has the same moments.
  norm.at_step(2).input(0, {0, 1, 1, 2, 2, 0, 5, 9});
  norm.forward();
  norm.backward({0, 0, 0, 0, 0, 0, 0, 0});
  norm.update_state();
  expect_near(norm.state(0), {0.29000000000000004, 0.8625}, dtype());
  expect_near(norm.state(1), {2.0566666666666666, 40.53916666666667}, dtype());
  norm.in_evaluation().input(0, {1, 10, 2, -20, 4, 30, -3, 5});
  expect_near(norm.forward(),
              {1.490159899624062, -0.4351256541517751, 2.884751307545276, 4.276641199424504, 5.6739341233877045,
               -3.5763035565359615, -4.0882057320607945, 0.3501688214442714},
              dtype(), 8);
  norm.update_state();
  expect_near(norm.state(0), {0.29000000000000004, 0.8625}, dtype());
}

TEST_P(Normalization, BatchNormIsTheSameForAnyCut) {
  const auto run = [&](std::int64_t rows) {
    LayerBench norm("batch_norm", "{}", {{3, 5}}, 7, dtype());
    norm.in_slices_of(rows).state(0, {1, 2, 3, 4, 5});
    const auto operands = testing::fill(norm, {});
    const Numbers z = norm.forward();
    const auto gradients = norm.backward(operands.delta);
    norm.update_state();
    return std::vector<Numbers>{
        z, gradients.inputs[0], gradients.parameters[0], gradients.parameters[1], norm.state(0), norm.state(1)};
  };
  const auto whole = run(7);
  for (const std::int64_t rows : {1, 2, 3, 6})
    for (std::size_t i = 0; i < whole.size(); ++i)
      expect_close(run(rows)[i], whole[i], dtype() == DType::float32 ? 1e-4 : 1e-12,
                   "result " + std::to_string(i) + " in slices of " + std::to_string(rows));
}

TEST_P(Normalization, BatchNormKeepsPrecisionFarFromZero) {
  // Variance 1 around 4096: sums of plain squares in float32 would lose all of it.
  LayerBench norm("batch_norm", "{epsilon: 0.0}", {{1}}, 4, dtype());
  norm.input(0, {4095, 4097, 4095, 4097}).parameter(0, {1}).parameter(1, {0});
  EXPECT_EQ(norm.forward(), (Numbers{-1, 1, -1, 1}));
}

TEST_P(Normalization, BatchNormOfMillionsInItsFirstStep) {
  // Mean 1000000 + 4/3 and variance 14/9, while the running mean is 0: Σa² − (Σa)²/n would cancel.
  for (const std::int64_t rows : {1, 2, 3}) {
    LayerBench norm("batch_norm", "{epsilon: 0.0}", {{1}}, 3, dtype());
    norm.in_slices_of(rows).input(0, {1000000, 1000001, 1000003}).parameter(0, {1}).parameter(1, {0});
    const double s = std::sqrt(14.0);
    expect_near(norm.forward(), {-4 / s, -1 / s, 5 / s}, dtype());
    norm.update_state();
    expect_near(norm.state(1), {0.9 + 0.1 * 7 / 3}, dtype());
  }
}

/// The definition in long double, mean first, variance in a second pass.
struct BatchNormReference {
  Numbers z, d_input, d_gamma;
  double variance = 0.0;

  /// Of one feature with γ = 1, β = 0, ε = 0.
  BatchNormReference(const Numbers& a, const Numbers& delta) {
    const auto n = static_cast<long double>(a.size());
    long double mean = 0, square = 0, sum = 0, product = 0;  // numbers less the first one, which is exact
    for (const double x : a) mean += (x - static_cast<long double>(a[0])) / n;
    const auto distance = [&](double x) { return x - static_cast<long double>(a[0]) - mean; };
    for (const double x : a) square += distance(x) * distance(x) / n;
    const auto normal = [&](double x) { return distance(x) / std::sqrt(square); };
    for (std::size_t i = 0; i < a.size(); ++i) sum += delta[i], product += delta[i] * normal(a[i]);
    for (std::size_t i = 0; i < a.size(); ++i) {
      z.push_back(static_cast<double>(normal(a[i])));
      d_input.push_back(static_cast<double>((delta[i] - (sum + normal(a[i]) * product) / n) / std::sqrt(square)));
    }
    d_gamma = {static_cast<double>(product)};
    variance = static_cast<double>(square);
  }
};

TEST_P(Normalization, BatchNormKeepsItsDigitsWhereverTheMeanLies) {
  constexpr std::int64_t kRows = 50;
  for (const double mean : {0.0, 1e2, 1e3, -1e4, 1e6})
    for (const std::int64_t rows : {kRows, std::int64_t{7}, std::int64_t{1}}) {
      SCOPED_TRACE("mean " + std::to_string(mean) + ", slices of " + std::to_string(rows));
      Numbers a, delta;
      for (std::int64_t i = 0; i < kRows; ++i) {
        const double x = mean + 1.4 * std::sin(static_cast<double>(7 * i + 1));
        a.push_back(dtype() == DType::float32 ? static_cast<float>(x) : x);
        delta.push_back(std::ldexp(std::round(64 * std::cos(static_cast<double>(3 * i))), -6));
      }
      const BatchNormReference reference(a, delta);
      LayerBench norm("batch_norm", "{epsilon: 0.0, momentum: 1.0}", {{1}}, kRows, dtype());
      norm.in_slices_of(rows).input(0, a).parameter(0, {1}).parameter(1, {0});
      expect_near(norm.forward(), reference.z, dtype(), 8);
      const auto gradients = norm.backward(delta);
      expect_near(gradients.inputs[0], reference.d_input, dtype(), 8);
      expect_near(gradients.parameters[0], reference.d_gamma, dtype(), 256);  // it was added to 100
      norm.update_state();
      expect_near(norm.state(1), {reference.variance * kRows / (kRows - 1)}, dtype());
    }
}

TEST_P(Normalization, BatchNormDoesNotCountPadding) {
  // Steps of the first sample past its length hold 1000s; what counts is 1, 3, 5, 7 with mean 4 and variance 5.
  LayerBench norm("batch_norm", "{epsilon: 0.0}", {{3, 1}}, 2, dtype());
  norm.lengths({1, 3}).parameter(0, {1}).parameter(1, {1});
  norm.input(0, {1, 1000, 1000, 3, 5, 7});
  const double s = std::sqrt(5.0);
  expect_near(norm.forward(), {-3 / s + 1, 0, 0, -1 / s + 1, 1 / s + 1, 3 / s + 1}, dtype());
  const auto gradients = norm.backward({1, 50, 50, 1, 1, 1});
  expect_near(gradients.inputs[0], {0, 0, 0, 0, 0, 0}, dtype());
  expect_near(gradients.parameters[0], {0}, dtype());
  expect_near(gradients.parameters[1], {4}, dtype());
  norm.update_state();
  expect_near(norm.state(0), {0.4}, dtype());
  expect_near(norm.state(1), {0.9 + 0.1 * 5 * 4 / 3}, dtype());
}

TEST_P(Normalization, BatchNormOfOneValueSaysSo) {
  LayerBench norm("batch_norm", "{}", {{3}}, 1, dtype());
  norm.input(0, {1, 2, 3}).parameter(0, {1, 1, 1}).parameter(1, {0, 0, 0});
  const std::string error = testing::user_error_of([&] { norm.forward(); });
  EXPECT_NE(error.find("needs more than one value per feature to train"), std::string::npos) << error;
  expect_near(norm.in_evaluation().forward(), {0.999995000037499, 1.999990000074998, 2.999985000112497}, dtype());
}

TEST_P(Normalization, BatchNormLetsNaNThrough) {
  LayerBench norm("batch_norm", "{}", {{2}}, 2, dtype());
  norm.input(0, {std::numeric_limits<double>::quiet_NaN(), 1, 2, 3}).parameter(0, {1, 1}).parameter(1, {0, 0});
  const Numbers z = norm.forward();
  EXPECT_TRUE(std::isnan(z[0]) && std::isnan(z[2]));
  EXPECT_TRUE(std::isfinite(z[1]) && std::isfinite(z[3]));
}

TEST_P(Normalization, LayerNormIsPyTorchs) {
  LayerBench norm("layer_norm", "{}", {{3}}, 2, dtype());
  norm.input(0, {1, 10, 4, 2, -20, 0}).parameter(0, {2, -1, 0.5}).parameter(1, {0.5, 1, -1});
  expect_near(norm.forward(),
              {-1.6380891716962558, -0.3363057323101599, -1.133630573231016, 2.1107744508865767, 2.4094276445257545,
               -0.6979797904587669},
              dtype());
  const auto gradients = norm.backward({1, -1, 0.5, 2, 0, 1});
  expect_near(gradients.inputs[0],
              {0.16226575515454023, 0.08113277417273373, -0.24339852932727388, 0.15645191999978625,
               0.015645174144055835, -0.17209709414384206},
              dtype());
  expect_near(gradients.parameters[0], {0.5417298650384488, -1.33630573231016, 0.4704098458514502}, dtype(), 128);
  expect_near(gradients.parameters[1], {3, -1, 1.5}, dtype(), 128);
}

TEST_P(Normalization, LayerNormKeepsPrecisionFarFromZero) {
  LayerBench norm("layer_norm", "{epsilon: 0.0}", {{4}}, 1, dtype());
  norm.input(0, {4095, 4097, 4095, 4097}).parameter(0, {1, 1, 1, 1}).parameter(1, {0, 0, 0, 0});
  EXPECT_EQ(norm.forward(), (Numbers{-1, 1, -1, 1}));
}

TEST(NormalizationGradients, LayerNormOfAnyShape) {
  std::uint64_t seed = 0;
  for (const Shape& shape : {Shape{2}, Shape{5}, Shape{3, 16}, Shape{2, 2, 17}, Shape{40}}) {
    SCOPED_TRACE(shape.back());
    LayerBench norm("layer_norm", "{epsilon: 0.1}", {shape}, 3, DType::float64);
    expect_true_gradients(norm.in_slices_of(2), {.seed = ++seed});
  }
}

TEST(NormalizationGradients, BatchNormOfAnyShape) {
  for (const Shape& shape : {Shape{1}, Shape{5}, Shape{3, 4}, Shape{2, 3, 2}, Shape{19}})
    for (const std::int64_t samples : {2, 5}) {
      SCOPED_TRACE(samples);
      LayerBench norm("batch_norm", "{epsilon: 0.1}", {shape}, samples, DType::float64);
      expect_true_gradients(norm.in_slices_of(2), {.seed = static_cast<std::uint64_t>(shape.size())});
      LayerBench fixed("batch_norm", "{}", {shape}, samples, DType::float64);
      expect_true_gradients(fixed.in_evaluation());
    }
  LayerBench padded("batch_norm", "{}", {{4, 3}}, 3, DType::float64);
  expect_true_gradients(padded.lengths({4, 1, 2}).in_slices_of(1));
}

}  // namespace
}  // namespace backplane
