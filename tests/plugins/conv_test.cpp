// Convolutions and pools: numbers computed by hand, gradients against differences, float32 against float64, float64
// against the definition, and what is said where shapes do not fit.

#include <gtest/gtest.h>

#include <string>

#include "kernels/convolution.h"
#include "plugins/bench.h"
#include "plugins/gradients.h"

namespace backplane {
namespace {

using testing::expect_true_gradients;
using testing::LayerBench;
using testing::Numbers;

class Conv : public ::testing::TestWithParam<DType> {
 protected:
  DType dtype() const { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Both, Conv, ::testing::Values(DType::float32, DType::float64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Conv, Conv2dOfOneChannel) {
  // a = ( 1 2 3 ; 4 5 6 ; 7 8 9 ), W = ( 1 0 ; 0 −1 ), b = 0.5: each window is a[y, x] − a[y+1, x+1] + 0.5
  LayerBench conv("conv2d", "{filters: 1, kernel: [2]}", {{3, 3, 1}}, 1, dtype());
  conv.input(0, {1, 2, 3, 4, 5, 6, 7, 8, 9}).parameter(0, {1, 0, 0, -1}).parameter(1, {0.5});
  EXPECT_EQ(conv.plan().output, (Shape{2, 2, 1}));
  EXPECT_EQ(conv.forward(), (Numbers{-3.5, -3.5, -3.5, -3.5}));
  const auto gradients = conv.backward({1, 2, 3, 4});
  EXPECT_EQ(gradients.inputs[0], (Numbers{1, 2, 0, 3, 3, -2, 0, -3, -4}));
  // ∂C/∂W = Σ δ·a: 1·1+2·2+3·4+4·5, 1·2+2·3+3·5+4·6, 1·4+2·5+3·7+4·8, 1·5+2·6+3·8+4·9
  EXPECT_EQ(gradients.parameters[0], (Numbers{37, 47, 67, 77}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{10}));
}

TEST_P(Conv, Conv2dOfTwoChannelsAndFilters) {
  // 1×2 image of 2 channels: pixels (1, 2), (3, 4). Filter 0 takes channel 0, filter 1 has taps (1 1 ; 2 2) by channel.
  LayerBench conv("conv2d", "{filters: 2, kernel: [1, 2], bias: false}", {{1, 2, 2}}, 2, dtype());
  conv.input(0, {1, 2, 3, 4, -1, 0, 0, 1}).parameter(0, {1, 10, 0, 0, 1, 1, 2, 2});
  EXPECT_EQ(conv.plan().parameters.size(), 1u);
  EXPECT_EQ(conv.plan().parameters[0].shape, (Shape{2, 2, 1, 2}));
  EXPECT_EQ(conv.plan().parameters[0].fan_in, 4);
  EXPECT_EQ(conv.plan().parameters[0].fan_out, 4);
  EXPECT_EQ(conv.forward(), (Numbers{31, 16, -1, 1}));
  const auto gradients = conv.backward({1, 0, 0, 2});
  EXPECT_EQ(gradients.inputs[0], (Numbers{1, 0, 10, 0, 2, 4, 2, 4}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{1, 3, 2, 4, -2, 0, 0, 2}));
}

TEST_P(Conv, Conv2dPadsAsAsked) {
  // A window of ones sums what it sees.
  const auto sums = [&](const std::string& padding) {
    LayerBench conv("conv2d", "{filters: 1, kernel: [2], bias: false, padding: " + padding + "}", {{2, 2, 1}}, 1,
                    dtype());
    conv.input(0, {1, 2, 3, 4}).parameter(0, {1, 1, 1, 1});
    return conv.forward();
  };
  EXPECT_EQ(sums("valid"), (Numbers{10}));
  EXPECT_EQ(sums("0"), (Numbers{10}));
  EXPECT_EQ(sums("same"), (Numbers{10, 6, 7, 4})) << "the odd place goes to the bottom and the right";
  EXPECT_EQ(sums("1"), (Numbers{1, 3, 2, 4, 10, 6, 3, 7, 4}));
  EXPECT_EQ(sums("\"1,0\""), (Numbers{3, 10, 7})) << "height, width";
}

TEST_P(Conv, Conv2dOfGroupsSeesItsOwnChannels) {
  LayerBench conv("conv2d", "{filters: 4, kernel: [1], groups: 2, bias: false}", {{1, 1, 2}}, 1, dtype());
  conv.input(0, {1, 10}).parameter(0, {1, 2, 3, 4});
  EXPECT_EQ(conv.plan().parameters[0].shape, (Shape{4, 1, 1, 1}));
  EXPECT_EQ(conv.forward(), (Numbers{1, 2, 30, 40}));
  EXPECT_EQ(conv.backward({1, 1, 1, 1}).inputs[0], (Numbers{3, 7}));
}

TEST_P(Conv, MaxPoolGivesTheGradientToTheFirstMaximum) {
  LayerBench pool("max_pool2d", "{kernel: [2]}", {{2, 4, 1}}, 1, dtype());
  pool.input(0, {1, 5, 2, 2, 5, 3, 2, 2});
  EXPECT_EQ(pool.plan().output, (Shape{1, 2, 1}));
  EXPECT_EQ(pool.plan().needs, 0u);
  EXPECT_EQ(pool.forward(), (Numbers{5, 2}));
  EXPECT_EQ(pool.backward({3, 7}).inputs[0], (Numbers{0, 3, 7, 0, 0, 0, 0, 0}));
}

TEST_P(Conv, MaxPoolNeverTakesThePadding) {
  LayerBench pool("max_pool2d", "{kernel: [3], stride: [2], padding: 1}", {{2, 2, 2}}, 1, dtype());
  pool.input(0, {-1, 1, -2, 2, -3, 3, -4, 4});
  EXPECT_EQ(pool.forward(), (Numbers{-1, 4}));
  EXPECT_EQ(pool.backward({5, 6}).inputs[0], (Numbers{5, 0, 0, 0, 0, 0, 0, 6}));
}

TEST_P(Conv, MaxPoolAddsWhereWindowsOverlap) {
  LayerBench pool("max_pool2d", "{kernel: [1, 2], stride: [1]}", {{1, 3, 1}}, 1, dtype());
  pool.input(0, {1, 9, 2});
  EXPECT_EQ(pool.forward(), (Numbers{9, 9}));
  EXPECT_EQ(pool.backward({1, 2}).inputs[0], (Numbers{0, 3, 0}));
}

TEST_P(Conv, MaxPoolLetsNaNThrough) {
  LayerBench pool("max_pool2d", "{kernel: [1, 3]}", {{1, 3, 1}}, 1, dtype());
  pool.input(0, {1, std::nan(""), 2});
  EXPECT_TRUE(std::isnan(pool.forward()[0]));
}

TEST_P(Conv, AvgPoolCountsThePaddingOrNot) {
  const auto means = [&](const std::string& more) {
    LayerBench pool("avg_pool2d", "{kernel: [2], padding: same, stride: [2]" + more + "}", {{3, 3, 1}}, 1, dtype());
    pool.input(0, {1, 2, 3, 4, 5, 6, 7, 8, 12});
    const Numbers z = pool.forward();
    return std::pair(z, pool.backward({4, 8, 12, 16}).inputs[0]);
  };
  const auto [with, d_with] = means("");
  EXPECT_EQ(with, (Numbers{3, 2.25, 3.75, 3}));
  EXPECT_EQ(d_with, (Numbers{1, 1, 2, 1, 1, 2, 3, 3, 4}));
  const auto [without, d_without] = means(", include_padding: false");
  EXPECT_EQ(without, (Numbers{3, 4.5, 7.5, 12}));
  EXPECT_EQ(d_without, (Numbers{1, 1, 4, 1, 1, 4, 6, 6, 16}));
}

TEST_P(Conv, GlobalAvgPoolOfImagesAndSequences) {
  for (const Shape& shape : {Shape{2, 2, 2}, Shape{4, 2}}) {
    LayerBench pool("global_avg_pool", "{}", {shape}, 1, dtype());
    pool.input(0, {1, 10, 2, 20, 3, 30, 6, 60});
    EXPECT_EQ(pool.plan().output, (Shape{2}));
    EXPECT_EQ(pool.forward(), (Numbers{3, 30}));
    EXPECT_EQ(pool.backward({4, 8}).inputs[0], (Numbers{1, 2, 1, 2, 1, 2, 1, 2}));
  }
}

TEST(ConvGradients, OfEachType) {
  const auto check = [](const char* type, const std::string& yaml, const Shape& input, bool apart = false) {
    SCOPED_TRACE(std::string(type) + " " + yaml);
    LayerBench bench(type, yaml, {input}, 2, DType::float64);
    expect_true_gradients(bench, {.seed = 7, .apart = apart});
  };
  check("conv2d", "{filters: 3, kernel: [3, 2], padding: same, stride: [2, 1]}", {5, 4, 2});
  check("conv2d", "{filters: 4, kernel: [2], dilation: [2], groups: 2, padding: 1}", {4, 5, 4});
  check("max_pool2d", "{kernel: [3, 2], stride: [2], padding: 1}", {5, 4, 3}, true);
  check("avg_pool2d", "{kernel: [3, 2], stride: [2, 1], padding: same}", {5, 4, 3});
  check("avg_pool2d", "{kernel: [3], stride: [2], padding: 1, include_padding: false}", {5, 4, 3});
  check("global_avg_pool", "{}", {5, 13, 3});
}

TEST(ConvErrors, NameTheShapes) {
  const auto error = [](const char* type, const std::string& yaml, const Shape& input) {
    return testing::user_error_of([&] { LayerBench(type, yaml, {input}, 1, DType::float32); });
  };
  const auto expect = [](const std::string& got, const std::string& want) {
    EXPECT_NE(got.find(want), std::string::npos) << got;
    EXPECT_EQ(got.substr(0, 2), "78") << got;
  };
  expect(error("conv2d", "{filters: 1, kernel: [5]}", {4, 4, 1}),
         "kernel 5×5 is larger than the padded image 4×4 (input [4, 4, 1], padding valid)");
  expect(error("conv2d", "{filters: 1, kernel: [3, 2], dilation: [4], padding: 1}", {4, 4, 1}),
         "kernel 3×2 (dilated: 9×5) is larger than the padded image 6×6 (input [4, 4, 1], padding 1)");
  expect(error("conv2d", "{filters: 1, kernel: [1]}", {784}), "wants images [H, W, C], got [784]");
  expect(error("conv2d", "{filters: 4, kernel: [1], groups: 4}", {4, 4, 6}),
         "6 input channels cannot be divided into 4 groups");
  expect(error("conv2d", "{filters: 4, kernel: [1], groups: 3}", {4, 4, 6}),
         "4 output channels cannot be divided into 3 groups");
  expect(error("conv2d", "{filters: 1, kernel: [1, 2, 3]}", {4, 4, 1}),
         "kernel wants 1 or 2 numbers (height, width), got 3");
  expect(error("conv2d", "{filters: 1, kernel: [1], stride: []}", {4, 4, 1}),
         "stride wants 1 or 2 numbers (height, width), got 0");
  for (const char* padding : {"same2", "-1", "1.5", "\"1,\"", "\"1,2,3\"", "causal", "99999999999999999999"})
    expect(error("conv2d", std::string("{filters: 1, kernel: [1], padding: ") + padding + "}", {4, 4, 1}),
           "is neither valid, same, a number nor two of them (height,width)");
  expect(error("conv2d", "{filters: 1048576, kernel: [65536], padding: 65536}", {4, 4, 1}),
         "would have 2^31 elements or more");
  expect(error("max_pool2d", "{kernel: [2], padding: 2}", {4, 4, 1}), "padding 2 is not smaller than the kernel");
  expect(error("avg_pool2d", "{kernel: [2]}", {4, 4}), "wants images [H, W, C], got [4, 4]");
  expect(error("global_avg_pool", "{}", {4}), "wants images [H, W, C], got [4]");
}

}  // namespace
}  // namespace backplane
