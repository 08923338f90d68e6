// dense and the layers of good/: forward and backward against numbers computed by hand.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "plugins/bench.h"

namespace backplane {
namespace {

using testing::expect_near;
using testing::LayerBench;
using testing::Numbers;

BP_IN_BOTH_TYPES(Layers);

TEST_P(Layers, DenseOfTwoSamples) {
  // W = ( 1 2 ; 3 4 ; 5 6 ), b = (0.5, −0.5, 1), a = (1 −1 ; 2 0.5)
  LayerBench dense("dense", "{units: 3}", {{2}}, 2, dtype());
  dense.input(0, {1, -1, 2, 0.5}).parameter(0, {1, 2, 3, 4, 5, 6}).parameter(1, {0.5, -0.5, 1});
  EXPECT_EQ(dense.plan().output, (Shape{3}));
  EXPECT_EQ(dense.forward(), (Numbers{-0.5, -1.5, 0, 3.5, 7.5, 14}));
  // δ = (1 0 −1 ; 2 1 0.5):  δ·W, δᵀ·a, Σ δ
  const auto gradients = dense.backward({1, 0, -1, 2, 1, 0.5});
  EXPECT_EQ(gradients.inputs[0], (Numbers{-4, -4, 7.5, 11}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{5, 0, 2, 0.5, 0, 1.25}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{3, 1, -0.5}));
}

TEST_P(Layers, DenseWithoutBias) {
  LayerBench dense("dense", "{units: 1, bias: false}", {{3}}, 1, dtype());
  dense.input(0, {1, 2, 3}).parameter(0, {4, 5, 6});
  EXPECT_EQ(dense.plan().parameters.size(), 1u);
  EXPECT_EQ(dense.forward(), (Numbers{32}));
  EXPECT_EQ(dense.backward({2}).inputs[0], (Numbers{8, 10, 12}));
}

TEST_P(Layers, DenseSeesAnyShapeAsARow) {
  LayerBench dense("dense", "{units: 2, bias: false}", {{2, 1, 2}}, 1, dtype());
  dense.input(0, {1, 2, 3, 4}).parameter(0, {1, 0, 0, 1, 0, 1, 1, 0});
  EXPECT_EQ(dense.forward(), (Numbers{5, 5}));
}

TEST_P(Layers, DenseOfEachPosition) {
  // Two positions of three features share W = ( 1 0 −1 ; 2 1 0 ) and b = (10, 20).
  LayerBench dense("dense", "{units: 2, flatten: false}", {{2, 3}}, 2, dtype());
  dense.input(0, {1, 2, 3, 4, 5, 6, 0, 1, 0, 1, 0, 1}).parameter(0, {1, 0, -1, 2, 1, 0}).parameter(1, {10, 20});
  EXPECT_EQ(dense.plan().output, (Shape{2, 2}));
  EXPECT_EQ(dense.plan().parameters[0].fan_in, 3);
  EXPECT_EQ(dense.forward(), (Numbers{8, 24, 8, 33, 10, 21, 10, 22}));
  const auto gradients = dense.backward({1, 0, 0, 1, 1, 1, 2, 0});
  EXPECT_EQ(gradients.inputs[0], (Numbers{1, 0, -1, 2, 1, 0, 3, 1, -1, 2, 0, -2}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{3, 3, 5, 4, 6, 6}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{4, 2}));
}

TEST_P(Layers, DenseOfASubsetOfUnitsLeavesTheOthersAlone) {
  LayerBench dense("dense", "{units: 3}", {{2}}, 2, dtype());
  dense.input(0, {1, -1, 2, 0.5}).parameter(0, {1, 2, 3, 4, 5, 6}).parameter(1, {0, 0, 0});
  const auto gradients = dense.backward({1, 0, -1, 2, 1, 0.5}, 1, 2);
  EXPECT_EQ(gradients.parameters[0], (Numbers{0, 0, 2, 0.5, 0, 0}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{0, 1, 0}));
}

TEST_P(Layers, DenseOfOddSizesIsTheDefinition) {
  // Sums of small whole numbers are exact in both types, so that a kernel's blocking cannot hide behind rounding.
  for (const std::int64_t samples : {1, 3, 17, 33})
    for (const std::int64_t I : {1, 3, 17, 33})
      for (const std::int64_t O : {1, 3, 17, 33}) {
        SCOPED_TRACE(::testing::Message() << "N " << samples << ", I " << I << ", O " << O);
        const auto some = [](std::int64_t count, int factor) {
          Numbers numbers(static_cast<std::size_t>(count));
          for (std::size_t i = 0; i < numbers.size(); ++i)
            numbers[i] = static_cast<double>((static_cast<int>(i) * factor) % 7) - 3.0;
          return numbers;
        };
        const Numbers a = some(samples * I, 5), W = some(O * I, 3), b = some(O, 2), delta = some(samples * O, 4);
        Numbers z(static_cast<std::size_t>(samples * O)), d_a(a.size(), 0.0), d_W(W.size(), 0.0), d_b(b.size(), 0.0);
        for (std::int64_t n = 0; n < samples; ++n)
          for (std::int64_t o = 0; o < O; ++o) {
            const double d = delta[static_cast<std::size_t>(n * O + o)];
            double sum = b[static_cast<std::size_t>(o)];
            d_b[static_cast<std::size_t>(o)] += d;
            for (std::int64_t i = 0; i < I; ++i) {
              const auto w = static_cast<std::size_t>(o * I + i), x = static_cast<std::size_t>(n * I + i);
              sum += W[w] * a[x], d_a[x] += d * W[w], d_W[w] += d * a[x];
            }
            z[static_cast<std::size_t>(n * O + o)] = sum;
          }
        LayerBench dense("dense", "{units: " + std::to_string(O) + "}", {{I}}, samples, dtype());
        dense.input(0, a).parameter(0, W).parameter(1, b);
        ASSERT_EQ(dense.forward(), z);
        const auto gradients = dense.backward(delta);
        ASSERT_EQ(gradients.inputs[0], d_a);
        ASSERT_EQ(gradients.parameters[0], d_W);
        ASSERT_EQ(gradients.parameters[1], d_b);
      }
}

TEST_P(Layers, DenseLetsNaNThrough) {
  LayerBench dense("dense", "{units: 2}", {{2}}, 2, dtype());
  dense.input(0, {1, std::numeric_limits<double>::quiet_NaN(), 1, 1}).parameter(0, {1, 0, 0, 1}).parameter(1, {0, 0});
  const Numbers z = dense.forward();
  EXPECT_TRUE(std::isnan(z[0])) << "0 · NaN is NaN, too";
  EXPECT_TRUE(std::isnan(z[1]));
  EXPECT_EQ(z[2], 1);
  EXPECT_EQ(z[3], 1);
}

TEST_P(Layers, SumOfThree) {
  LayerBench sum("sum_3", "{}", {{2}, {2}, {2}}, 2, dtype());
  sum.input(0, {1, 2, 3, 4}).input(1, {10, 20, 30, 40}).input(2, {100, 200, 300, 400});
  EXPECT_EQ(sum.forward(), (Numbers{111, 222, 333, 444}));
  const auto gradients = sum.backward({5, 6, 7, 8});
  for (const Numbers& d_a : gradients.inputs) EXPECT_EQ(d_a, (Numbers{5, 6, 7, 8}));
}

TEST_P(Layers, ScalePerSliceAndBatchWideAreOne) {
  for (const char* type : {"narrow_scale", "wide_scale"}) {
    SCOPED_TRACE(type);
    LayerBench scale(type, "{}", {{3}}, 2, dtype());
    scale.input(0, {1, 2, 3, 4, 5, 6}).parameter(0, {2, -1, 0.5});
    EXPECT_EQ(scale.forward(), (Numbers{2, -2, 1.5, 8, -5, 3}));
    const auto gradients = scale.backward({1, 1, 1, 0.5, -1, 2});
    EXPECT_EQ(gradients.inputs[0], (Numbers{2, -1, 0.5, 1, 1, 1}));
    EXPECT_EQ(gradients.parameters[0], (Numbers{3, -3, 15}));
  }
}

TEST_P(Layers, UnitLengthSavesTheLength) {
  // |(3, 4)| = 5; δ = (1, 0): δ − z(z·δ) = (1 − 0.36, −0.48) = (0.64, −0.48), by 5. Along itself nothing changes.
  LayerBench unit("unit_length", "{epsilon: 0}", {{2}}, 2, dtype());
  unit.input(0, {3, 4, 0, 2});
  expect_near(unit.forward(), {0.6, 0.8, 0, 1}, dtype());
  expect_near(unit.backward({1, 0, 0, 7}).inputs[0], {0.128, -0.096, 0, 0}, dtype());
}

TEST_P(Layers, PickHasAttributesOfEveryKind) {
  // factor −2, gain 0.5: times −1 and, by the sign, 1; columns 2 and 0 after an offset of 1, from the last, twice.
  LayerBench pick(
      "pick", "{offset: 2, shift: -1, columns: [2, 0], reverse: true, repeat: 2, factor: -2, gain: 0.5, sign: minus}",
      {{5}}, 1, dtype());
  pick.input(0, {10, 11, 12, 13, 14});
  EXPECT_EQ(pick.forward(), (Numbers{11, 13, 11, 13}));
  EXPECT_EQ(pick.backward({1, 2, 4, 8}).inputs[0], (Numbers{0, 5, 0, 10, 0}));
}

TEST_P(Layers, PickWithItsDefaults) {
  LayerBench pick("pick", "{offset: 0}", {{3}}, 1, dtype());
  pick.input(0, {10, 20, 30});
  EXPECT_EQ(pick.forward(), (Numbers{5, 10}));
}

TEST_P(Layers, NegateInPlainC) {
  LayerBench negate("negate", "{}", {{3}}, 1, dtype());
  negate.input(0, {1, -2, 3});
  EXPECT_EQ(negate.forward(), (Numbers{-1, 2, -3}));
  EXPECT_EQ(negate.backward({4, 5, -6}).inputs[0], (Numbers{-4, -5, 6}));
}

TEST_P(Layers, NegateSaysWhatItCannotDo) {
  const std::string error = testing::user_error_of([&] { LayerBench("negate", "{}", {{2, 2}}, 1, dtype()); });
  EXPECT_NE(error.find("layer 'bench': it takes vectors only"), std::string::npos) << error;
  EXPECT_EQ(error.substr(0, 2), "78");
}

}  // namespace
}  // namespace backplane
