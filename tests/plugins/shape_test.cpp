// Layers that move numbers: where each goes, and that its gradient comes back from there.

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

BP_IN_BOTH_TYPES(ShapeLayers);

TEST_P(ShapeLayers, FlattenIsACopy) {
  LayerBench flatten("flatten", "{}", {{2, 1, 2}}, 2, dtype());
  flatten.input(0, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(flatten.plan().output, (Shape{4}));
  EXPECT_EQ(flatten.forward(), (Numbers{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(flatten.backward({8, 7, 6, 5, 4, 3, 2, 1}).inputs[0], (Numbers{8, 7, 6, 5, 4, 3, 2, 1}));
}

TEST_P(ShapeLayers, ReshapeFillsInWhatIsLeft) {
  LayerBench reshape("reshape", "{shape: [3, -1, 2]}", {{12}}, 1, dtype());
  EXPECT_EQ(reshape.plan().output, (Shape{3, 2, 2}));
  const Numbers numbers{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  reshape.input(0, numbers);
  EXPECT_EQ(reshape.forward(), numbers);
  EXPECT_EQ(reshape.backward(numbers).inputs[0], numbers);
}

TEST_P(ShapeLayers, ZeroPadOfSequences) {
  LayerBench pad("zero_pad", "{padding: [2, 1]}", {{2, 2}}, 2, dtype());
  EXPECT_EQ(pad.plan().output, (Shape{5, 2}));
  pad.input(0, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(pad.forward(), (Numbers{0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 5, 6, 7, 8, 0, 0}));
  Numbers delta(20);
  for (std::size_t i = 0; i < delta.size(); ++i) delta[i] = static_cast<double>(i);
  EXPECT_EQ(pad.backward(delta).inputs[0], (Numbers{4, 5, 6, 7, 14, 15, 16, 17}));
}

TEST_P(ShapeLayers, ZeroPadOfImages) {
  // [top, bottom, left, right]
  LayerBench pad("zero_pad", "{padding: [1, 0, 0, 2]}", {{2, 1, 1}}, 1, dtype());
  EXPECT_EQ(pad.plan().output, (Shape{3, 3, 1}));
  pad.input(0, {5, 6});
  EXPECT_EQ(pad.forward(), (Numbers{0, 0, 0, 5, 0, 0, 6, 0, 0}));
  EXPECT_EQ(pad.backward({1, 2, 3, 4, 5, 6, 7, 8, 9}).inputs[0], (Numbers{4, 7}));
  EXPECT_EQ(LayerBench("zero_pad", "{padding: [2]}", {{3, 4, 5}}, 1, dtype()).plan().output, (Shape{7, 8, 5}));
  EXPECT_EQ(LayerBench("zero_pad", "{padding: [2, 0]}", {{3, 4, 5}}, 1, dtype()).plan().output, (Shape{7, 4, 5}));
}

TEST_P(ShapeLayers, ConcatAlongTheLastAxis) {
  LayerBench concat("concat", "{}", {{2, 1}, {2, 2}}, 2, dtype());
  EXPECT_EQ(concat.plan().output, (Shape{2, 3}));
  concat.input(0, {1, 2, 3, 4}).input(1, {10, 11, 20, 21, 30, 31, 40, 41});
  const Numbers joined{1, 10, 11, 2, 20, 21, 3, 30, 31, 4, 40, 41};
  EXPECT_EQ(concat.forward(), joined);
  const auto gradients = concat.backward(joined);
  EXPECT_EQ(gradients.inputs[0], (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(gradients.inputs[1], (Numbers{10, 11, 20, 21, 30, 31, 40, 41}));
}

TEST_P(ShapeLayers, ConcatAlongTheFirstAxisOfASample) {
  for (const char* yaml : {"{axis: 0}", "{axis: -2}"}) {
    LayerBench concat("concat", yaml, {{1, 2}, {2, 2}, {1, 2}}, 2, dtype());
    EXPECT_EQ(concat.plan().output, (Shape{4, 2}));
    concat.input(0, {1, 2, 3, 4}).input(1, {5, 6, 7, 8, 9, 10, 11, 12}).input(2, {13, 14, 15, 16});
    EXPECT_EQ(concat.forward(), (Numbers{1, 2, 5, 6, 7, 8, 13, 14, 3, 4, 9, 10, 11, 12, 15, 16}));
  }
}

TEST(ShapeGradients, OfAnyShape) {
  struct Case {
    const char *type, *yaml;
    std::vector<Shape> inputs;
  };
  const std::vector<Case> cases{
      {"flatten", "{}", {{2, 3, 2}}},
      {"reshape", "{shape: [2, -1]}", {{3, 4}}},
      {"zero_pad", "{padding: [1]}", {{1, 1}}},
      {"zero_pad", "{padding: [1, 2, 3, 4]}", {{2, 3, 2}}},
      {"zero_pad", "{padding: [1, 0, 2]}", {{2, 1, 2, 2}}},
      {"zero_pad", "{padding: [1, 0, 2, 1, 0, 3]}", {{2, 1, 2, 2}}},
      {"concat", "{}", {{3}, {1}, {5}}},
      {"concat", "{axis: 1}", {{2, 1, 2}, {2, 3, 2}}},
      {"concat", "{axis: 0}", {{2, 1, 2}, {1, 1, 2}}},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(std::string(one.type) + one.yaml);
    LayerBench bench(one.type, one.yaml, one.inputs, 3, DType::float64);
    expect_true_gradients(bench.in_slices_of(2));
  }
}

TEST(ShapeErrors, NameTheShapes) {
  const auto error = [](const std::string& type, const std::string& yaml, const std::vector<Shape>& inputs) {
    return testing::user_error_of([&] { LayerBench(type, yaml, inputs, 1, DType::float32); });
  };
  const auto says = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_EQ(text.substr(0, 2), "78");
  };
  says(error("reshape", "{shape: [-1, 5]}", {{28, 28}}), "cannot see [28, 28] as [-1, 5]: it has 784 elements");
  says(error("reshape", "{shape: [5]}", {{4}}), "cannot see [4] as [5]: it has 4 elements only");
  says(error("reshape", "{shape: [2]}", {{4}}), "cannot see [4] as [2]: it has 4 elements");
  says(error("reshape", "{shape: [-1, -1]}", {{4}}), "only one extent may be -1");
  says(error("reshape", "{shape: [0, -1]}", {{4}}), "an extent of 0 holds nothing");
  says(error("zero_pad", "{padding: [1]}", {{4}}), "pads sequences [T, F] and images [H, W, C], got [4]");
  says(error("zero_pad", "{padding: [1, 2, 3]}", {{4, 4, 1}}), "padding of [4, 4, 1] is 1, 2 or 4 numbers");
  says(error("zero_pad", "{padding: [1, 2, 3]}", {{4, 1}}), "padding of [4, 1] is 1 or 2 numbers");
  says(error("concat", "{}", {{28, 28, 8}, {14, 14, 8}}),
       "joins tensors that differ on axis -1 only, got [28, 28, 8] and [14, 14, 8]");
  says(error("concat", "{axis: 2}", {{2, 2}, {2, 2}}), "joins along axis 2, which [2, 2] does not have");
  says(error("concat", "{}", {{2, 2}, {2}}), "got [2, 2] and [2]");
}

}  // namespace
}  // namespace backplane
