// Arithmetic on tensors of one shape.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "plugins/bench.h"
#include "plugins/gradients.h"

namespace backplane {
namespace {

using testing::expect_true_gradients;
using testing::LayerBench;
using testing::Numbers;

BP_IN_BOTH_TYPES(Elementwise);

std::string plan_error(const std::string& type, const std::string& yaml, const std::vector<Shape>& inputs) {
  return testing::user_error_of([&] { LayerBench(type, yaml, inputs, 1, DType::float32); });
}

TEST_P(Elementwise, AddOfThree) {
  LayerBench add("add", "{}", {{2}, {2}, {2}}, 2, dtype());
  add.input(0, {1, 2, 3, 4}).input(1, {10, 20, 30, 40}).input(2, {100, 200, 300, 400});
  EXPECT_EQ(add.forward(), (Numbers{111, 222, 333, 444}));
  const auto gradients = add.backward({5, 6, 7, 8});
  for (const Numbers& d_a : gradients.inputs) EXPECT_EQ(d_a, (Numbers{5, 6, 7, 8}));
}

TEST_P(Elementwise, AddOfSixtyFour) {
  LayerBench add("add", "{}", std::vector<Shape>(64, Shape{3}), 1, dtype());
  for (std::size_t k = 0; k < 64; ++k) add.input(k, {1, -1, static_cast<double>(k)});
  EXPECT_EQ(add.forward(), (Numbers{64, -64, 2016}));
}

TEST_P(Elementwise, MultiplyOfThreeWithZeros) {
  LayerBench multiply("multiply", "{}", {{3}, {3}, {3}}, 1, dtype());
  multiply.input(0, {2, 0, 0}).input(1, {3, 5, 0}).input(2, {-1, 7, 4});
  EXPECT_EQ(multiply.forward(), (Numbers{-6, 0, 0}));
  const auto gradients = multiply.backward({1, 2, 3});
  EXPECT_EQ(gradients.inputs[0], (Numbers{-3, 70, 0}));
  EXPECT_EQ(gradients.inputs[1], (Numbers{-2, 0, 0}));
  EXPECT_EQ(gradients.inputs[2], (Numbers{6, 0, 0}));
}

TEST_P(Elementwise, ScaleByHand) {
  LayerBench scale("scale", "{initial: 0.5, bias: true}", {{2, 2}}, 1, dtype());
  scale.input(0, {1, 2, 3, 4}).parameter(0, {2, -4}).parameter(1, {10, 20});
  EXPECT_EQ(scale.forward(), (Numbers{11, 16, 13, 12}));
  const auto gradients = scale.backward({1, 2, 3, 4});
  EXPECT_EQ(gradients.inputs[0], (Numbers{1, -4, 3, -8}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{5, 10}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{4, 6}));
  EXPECT_EQ(LayerBench("scale", "{}", {{3}}, 1, dtype()).plan().parameters.size(), 1u);
}

TEST(ElementwiseGradients, OfAnyShape) {
  std::uint64_t seed = 0;
  for (const Shape& shape : {Shape{1}, Shape{7}, Shape{3, 2}, Shape{2, 2, 5}}) {
    const testing::Draw draw{.seed = ++seed};
    for (std::size_t inputs = 2; inputs < 5; ++inputs)
      for (const char* type : {"add", "multiply"}) {
        SCOPED_TRACE(type);
        LayerBench bench(type, "{}", std::vector<Shape>(inputs, shape), 3, DType::float64);
        expect_true_gradients(bench.in_slices_of(2), draw);
      }
    for (const char* yaml : {"{}", "{bias: true, initial: -0.3}"}) {
      LayerBench scale("scale", yaml, {shape}, 3, DType::float64);
      expect_true_gradients(scale.in_slices_of(2), draw);
    }
  }
}

TEST(ElementwiseErrors, NameTheShapes) {
  EXPECT_NE(plan_error("add", "{}", {{28, 28, 8}, {14, 14, 8}})
                .find("adds tensors of one shape, got [28, 28, 8] and [14, 14, 8]"),
            std::string::npos);
  EXPECT_NE(plan_error("multiply", "{}", {{2}, {2}, {3}}).find("multiplies tensors of one shape, got [2] and [3]"),
            std::string::npos);
  EXPECT_NE(plan_error("add", "{}", {{2}}).find("takes 2 to 64 inputs, got 1"), std::string::npos);
}

}  // namespace
}  // namespace backplane
