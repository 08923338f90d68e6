// Convolutions and pools: numbers computed by hand, gradients against differences, float32 against float64, float64
// against the definition, and what is said where shapes do not fit.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/convolution.h"
#include "plugins/bench.h"
#include "plugins/gradients.h"

namespace backplane {
namespace {

using testing::expect_close;
using testing::expect_true_gradients;
using testing::LayerBench;
using testing::Numbers;

BP_IN_BOTH_TYPES(Conv);

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

TEST_P(Conv, Conv1dPadsAsAsked) {
  // W = (1, 10, 100): digits of what a window sees, the last first.
  const auto digits = [&](const std::string& more) {
    LayerBench conv("conv1d", "{filters: 1, kernel: [3], bias: false" + more + "}", {{4, 1}}, 1, dtype());
    conv.input(0, {1, 2, 3, 4}).parameter(0, {1, 10, 100});
    EXPECT_EQ(conv.plan().parameters[0].shape, (Shape{1, 1, 3}));
    return conv.forward();
  };
  EXPECT_EQ(digits(""), (Numbers{321, 432}));
  EXPECT_EQ(digits(", padding: same"), (Numbers{210, 321, 432, 43}));
  EXPECT_EQ(digits(", padding: same, stride: [2]"), (Numbers{321, 43})) << "the odd place goes behind";
  EXPECT_EQ(digits(", padding: causal"), (Numbers{100, 210, 321, 432}));
  EXPECT_EQ(digits(", padding: causal, dilation: [2]"), (Numbers{100, 200, 310, 420}));
  EXPECT_EQ(digits(", padding: 1, stride: [3]"), (Numbers{210, 43}));
}

TEST_P(Conv, Conv1dOfTwoFeatures) {
  // W[o, i, k]: filter 0 has (1 2) on feature 0, (3 4) on feature 1.
  LayerBench conv("conv1d", "{filters: 1, kernel: [2]}", {{3, 2}}, 1, dtype());
  conv.input(0, {1, 10, 2, 20, 3, 30}).parameter(0, {1, 2, 3, 4}).parameter(1, {1000});
  EXPECT_EQ(conv.forward(), (Numbers{1115, 1188}));
  const auto gradients = conv.backward({1, 2});
  EXPECT_EQ(gradients.inputs[0], (Numbers{1, 3, 4, 10, 4, 8}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{5, 8, 50, 80}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{3}));
}

TEST_P(Conv, ConvTransposeSpreadsEachPixel) {
  // Pixel times W = ( 1 2 ; 3 4 ), set down every 2 places: the images of the pixels lie side by side.
  LayerBench conv("conv_transpose2d", "{filters: 1, kernel: [2], stride: [2]}", {{1, 2, 1}}, 1, dtype());
  conv.input(0, {1, 10}).parameter(0, {1, 2, 3, 4}).parameter(1, {0.5});
  EXPECT_EQ(conv.plan().output, (Shape{2, 4, 1}));
  EXPECT_EQ(conv.forward(), (Numbers{1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5}));
  const auto gradients = conv.backward({1, 0, 0, 1, 1, 0, 0, 2});
  EXPECT_EQ(gradients.inputs[0], (Numbers{4, 10}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{1, 10, 1, 20}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{5}));
}

TEST_P(Conv, ConvTransposeOverlapsCutsAndExtends) {
  const auto spread = [&](const std::string& more) {
    LayerBench conv("conv_transpose2d", "{filters: 1, kernel: [1, 3], bias: false" + more + "}", {{1, 2, 1}}, 1,
                    dtype());
    conv.input(0, {1, 10}).parameter(0, {1, 2, 3});
    return conv.forward();
  };
  EXPECT_EQ(spread(""), (Numbers{1, 12, 23, 30}));
  EXPECT_EQ(spread(", padding: \"0,1\""), (Numbers{12, 23}));
  EXPECT_EQ(spread(", dilation: [1, 2]"), (Numbers{1, 10, 2, 20, 3, 30}));
  EXPECT_EQ(spread(", stride: [1, 2]"), (Numbers{1, 2, 13, 20, 30}));
  EXPECT_EQ(spread(", stride: [1, 2], output_padding: [0, 1]"), (Numbers{1, 2, 13, 20, 30, 0}));
}

TEST_P(Conv, ConvTransposeTakesChannelsAsPyTorchDoes) {
  // W (I, O/groups, 1, 1): two groups, input channel i makes output channels 2i and 2i + 1.
  LayerBench conv("conv_transpose2d", "{filters: 4, kernel: [1], groups: 2, bias: false}", {{1, 1, 2}}, 1, dtype());
  conv.input(0, {1, 10}).parameter(0, {1, 2, 3, 4});
  EXPECT_EQ(conv.plan().parameters[0].shape, (Shape{2, 2, 1, 1}));
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

/// A layer with attributes drawn at random, that fits its input.
struct RandomLayer {
  std::string type, yaml;
  Shape input;
  std::int64_t samples = 1;
  kernels::Convolution shape;  ///< of a convolution: what its kernels must be given (but for `after`)
};

/// Draws one by one from a stream.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : stream_(seed, Purpose::check) {}
  std::int64_t from(std::int64_t first, std::int64_t last) {
    return first + static_cast<std::int64_t>(stream_.below(next_++, static_cast<std::uint64_t>(last - first + 1)));
  }

 private:
  Stream stream_;
  std::uint64_t next_ = 0;
};

/// One axis by the definitions of "valid", "same", "causal" and numbers. out < 1: nothing fits.
kernels::Axis axis_by_definition(Dice& dice, const std::string& padding, std::int64_t number, std::int64_t dilation) {
  kernels::Axis axis{.in = dice.from(1, 7),
                     .kernel = dice.from(1, 4),
                     .stride = dice.from(1, 3),
                     .dilation = dilation,
                     .before = number,
                     .after = number};
  if (padding == "same") {
    axis.out = (axis.in - 1) / axis.stride + 1;
    const std::int64_t both = std::max<std::int64_t>(0, (axis.out - 1) * axis.stride + axis.extent() - axis.in);
    axis.before = both / 2;
    return axis;
  }
  if (padding == "causal") axis.before = axis.extent() - 1, axis.after = 0;
  const std::int64_t room = axis.in + axis.before + axis.after - axis.extent();
  axis.out = room < 0 ? 0 : room / axis.stride + 1;
  return axis;
}

std::string pair_of(std::int64_t height, std::int64_t width) {
  return "[" + std::to_string(height) + ", " + std::to_string(width) + "]";
}

RandomLayer random_layer(const std::string& type, std::uint64_t seed) {
  Dice dice(seed);
  for (;;) {
    RandomLayer layer{.type = type};
    const bool is_pool = type == "max_pool2d" || type == "avg_pool2d", is_line = type == "conv1d";
    const bool is_transposed = type == "conv_transpose2d";
    const std::int64_t number = dice.from(0, 3), way = dice.from(0, is_line ? 3 : 2);
    std::string padding = way == 0 ? "valid" : way == 1 ? std::to_string(number) : way == 2 ? "same" : "causal";
    if (is_transposed && way == 2) padding = "valid";
    const std::int64_t places = way == 1 ? number : 0;
    const std::int64_t dilation = is_pool ? 1 : dice.from(1, 2);
    kernels::Axis height = is_line ? kernels::Axis{} : axis_by_definition(dice, padding, places, dilation);
    kernels::Axis width = axis_by_definition(dice, padding, places, dilation);
    layer.samples = dice.from(1, 5);
    const std::int64_t groups = is_pool ? 1 : dice.from(1, 3), depth = dice.from(0, 3) == 0 ? 1 : dice.from(1, 3);
    const std::int64_t I = groups * depth, O = groups * dice.from(1, 3);
    if (height.out < 1 || width.out < 1) continue;
    if (is_pool && (places >= height.kernel || places >= width.kernel)) continue;
    if (layer.samples * height.in * width.in * I > 500) continue;
    layer.shape = {.inputs = I, .outputs = O, .groups = groups, .height = height, .width = width};
    layer.yaml = "{padding: " + padding;
    if (is_line)
      layer.yaml += ", kernel: [" + std::to_string(width.kernel) + "], stride: [" + std::to_string(width.stride) + "]";
    else
      layer.yaml +=
          ", kernel: " + pair_of(height.kernel, width.kernel) + ", stride: " + pair_of(height.stride, width.stride);
    if (!is_pool)
      layer.yaml += ", dilation: [" + std::to_string(dilation) + "], groups: " + std::to_string(groups) +
                    ", filters: " + std::to_string(is_transposed ? I : O) +
                    (dice.from(0, 1) == 0 ? ", bias: false" : "");
    if (type == "avg_pool2d" && dice.from(0, 1) == 0) layer.yaml += ", include_padding: false";
    layer.input = is_line ? Shape{width.in, I} : Shape{height.in, width.in, I};
    if (is_transposed) {
      // Its input is the output of `shape`; what that one's windows leave over is the output padding.
      layer.input = {height.out, width.out, O};
      const auto left = [](const kernels::Axis& axis) {
        return (axis.in + axis.before + axis.after - axis.extent()) % axis.stride;
      };
      layer.yaml += ", output_padding: " + pair_of(left(height), left(width));
    }
    layer.yaml += "}";
    return layer;
  }
}

std::vector<RandomLayer> random_layers() {
  std::vector<RandomLayer> layers;
  const auto add = [&](const char* type, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) layers.push_back(random_layer(type, 1000 * layers.size() + i));
  };
  add("conv2d", 26), add("conv1d", 12), add("conv_transpose2d", 12), add("max_pool2d", 6), add("avg_pool2d", 6);
  return layers;
}

std::string name_of_layer(const RandomLayer& layer) {
  return layer.type + " " + layer.yaml + " of " + std::to_string(layer.samples) + " " + to_string(layer.input);
}

TEST(ConvAtRandom, GradientsAreTrue) {
  for (const RandomLayer& layer : random_layers()) {
    SCOPED_TRACE(name_of_layer(layer));
    LayerBench bench(layer.type, layer.yaml, {layer.input}, layer.samples, DType::float64);
    expect_true_gradients(bench, {.seed = 7, .apart = layer.type == "max_pool2d"});
  }
  LayerBench global("global_avg_pool", "{}", {{5, 27, 3}}, 2, DType::float64);
  expect_true_gradients(global);
}

TEST(ConvAtRandom, PoolsOfWholeVectorsAndTheRest) {
  for (const std::int64_t channels : {8, 16, 19, 40}) {
    SCOPED_TRACE(channels);
    for (const char* type : {"max_pool2d", "avg_pool2d"}) {
      SCOPED_TRACE(type);
      // Channels are pooled apart: every one of them must come out as it does alone.
      const std::string yaml = "{kernel: [2, 3], stride: [1, 2], padding: 1}";
      LayerBench all(type, yaml, {{4, 5, channels}}, 1, DType::float32);
      const auto operands = testing::fill(all, {.seed = 11});
      const Numbers z = all.forward(), d_a = all.backward(operands.delta).inputs[0];
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto channel = [&](const Numbers& numbers) {
          Numbers one;
          for (auto i = static_cast<std::size_t>(c); i < numbers.size(); i += static_cast<std::size_t>(channels))
            one.push_back(numbers[i]);
          return one;
        };
        LayerBench alone(type, yaml, {{4, 5, 1}}, 1, DType::float32);
        alone.input(0, channel(operands.inputs[0]));
        EXPECT_EQ(channel(z), alone.forward()) << "channel " << c;
        EXPECT_EQ(channel(d_a), alone.backward(channel(operands.delta)).inputs[0]) << "channel " << c;
      }
    }
  }
}

TEST(ConvAtRandom, LayersLargerThanOneBlock) {
  // 90·90 windows of 36 numbers each are more than the float64 kernels lay out at a time.
  for (const char* yaml : {"{filters: 3, kernel: [3], padding: same}", "{filters: 8, kernel: [3], groups: 4}"}) {
    SCOPED_TRACE(yaml);
    LayerBench narrow("conv2d", yaml, {{90, 90, 4}}, 2, DType::float32);
    LayerBench wide("conv2d", yaml, {{90, 90, 4}}, 2, DType::float64);
    const auto operands = testing::fill(narrow, {.seed = 3});
    testing::fill(wide, {.seed = 3});
    expect_close(narrow.forward(), wide.forward(), 2e-5, "z");
    const auto got = narrow.backward(operands.delta), want = wide.backward(operands.delta);
    expect_close(got.inputs[0], want.inputs[0], 2e-5, "gradient of the input");
    expect_close(got.parameters[0], want.parameters[0], 2e-5, "gradient of W");
    expect_close(got.parameters[1], want.parameters[1], 2e-5, "gradient of b");
  }
}

TEST(ConvAtRandom, Float32IsFloat64Rounded) {
  for (const RandomLayer& layer : random_layers()) {
    SCOPED_TRACE(name_of_layer(layer));
    LayerBench narrow(layer.type, layer.yaml, {layer.input}, layer.samples, DType::float32);
    LayerBench wide(layer.type, layer.yaml, {layer.input}, layer.samples, DType::float64);
    const auto operands = testing::fill(narrow, {.seed = 3});
    testing::fill(wide, {.seed = 3});
    constexpr double kTolerance = 2e-5;
    expect_close(narrow.forward(), wide.forward(), kTolerance, "z");
    const auto got = narrow.backward(operands.delta), want = wide.backward(operands.delta);
    expect_close(got.inputs[0], want.inputs[0], kTolerance, "gradient of the input");
    // The bench has gradients added to 100, which rounds them to 4e-6.
    for (std::size_t i = 0; i < want.parameters.size(); ++i)
      expect_close(got.parameters[i], want.parameters[i], kTolerance, "gradient of parameter " + std::to_string(i), 1);
  }
}

TEST(ConvAtRandom, EveryDirectionIsTheDefinition) {
  for (const RandomLayer& layer : random_layers()) {
    if (layer.type == "max_pool2d" || layer.type == "avg_pool2d") continue;
    SCOPED_TRACE(name_of_layer(layer));
    LayerBench bench(layer.type, layer.yaml, {layer.input}, layer.samples, DType::float64);
    const auto operands = testing::fill(bench, {.seed = 5});
    const Numbers &a = operands.inputs[0], &delta = operands.delta, &W = operands.parameters[0];
    const double* b = operands.parameters.size() > 1 ? operands.parameters[1].data() : nullptr;
    const Numbers z = bench.forward();
    const auto gradients = bench.backward(delta);
    Numbers want_z(z.size()), want_d_a(a.size()), want_d_W(W.size());
    const kernels::Convolution& shape = layer.shape;
    const std::int64_t N = layer.samples;
    if (layer.type == "conv_transpose2d") {  // the same convolution, with a and δ exchanged
      kernels::convolution_backward_inputs_reference(shape, N, a.data(), W.data(), want_z.data());
      for (std::size_t i = 0; b != nullptr && i < want_z.size(); ++i)
        want_z[i] += b[i % static_cast<std::size_t>(shape.inputs)];
      kernels::convolution_forward_reference<double>(shape, N, delta.data(), W.data(), nullptr, want_d_a.data());
      kernels::convolution_backward_weights_reference(shape, N, delta.data(), a.data(), want_d_W.data());
    } else {
      kernels::convolution_forward_reference(shape, N, a.data(), W.data(), b, want_z.data());
      kernels::convolution_backward_inputs_reference(shape, N, delta.data(), W.data(), want_d_a.data());
      kernels::convolution_backward_weights_reference(shape, N, a.data(), delta.data(), want_d_W.data());
    }
    expect_close(z, want_z, 1e-14, "z");
    expect_close(gradients.inputs[0], want_d_a, 1e-14, "gradient of the input");
    // The bench has gradients added to 100, which rounds them to 1e-14.
    expect_close(gradients.parameters[0], want_d_W, 3e-14, "gradient of W", 1);
  }
}

/// z and ∂C/∂a of samples [begin, end) of five, in one call.
std::pair<Numbers, Numbers> part_of_five(const RandomLayer& layer, DType dtype, std::int64_t begin, std::int64_t end) {
  LayerBench five(layer.type, layer.yaml, {layer.input}, 5, dtype);
  const auto operands = testing::fill(five, {.seed = 9});
  LayerBench part(layer.type, layer.yaml, {layer.input}, end - begin, dtype);
  const auto rows = [&](const Numbers& all) {
    const auto size = static_cast<std::int64_t>(all.size()) / 5;
    return Numbers(all.begin() + begin * size, all.begin() + end * size);
  };
  part.input(0, rows(operands.inputs[0]));
  for (std::size_t i = 0; i < operands.parameters.size(); ++i) part.parameter(i, operands.parameters[i]);
  const Numbers z = part.forward();
  return {z, part.backward(rows(operands.delta)).inputs[0]};
}

TEST_P(Conv, BitsOfASampleDoNotDependOnTheCall) {
  auto layers = random_layers();
  layers.push_back({.type = "conv2d", .yaml = "{filters: 40, kernel: [3], padding: same}", .input = {9, 9, 24}});
  layers.push_back({.type = "conv2d", .yaml = "{filters: 32, kernel: [3], groups: 32}", .input = {9, 9, 32}});
  for (const RandomLayer& layer : layers) {
    SCOPED_TRACE(name_of_layer(layer));
    const auto [z, d_a] = part_of_five(layer, dtype(), 0, 5);
    const auto [z_0, d_a_0] = part_of_five(layer, dtype(), 0, 2);
    const auto [z_1, d_a_1] = part_of_five(layer, dtype(), 2, 5);
    const auto joined = [](Numbers first, const Numbers& second) {
      first.insert(first.end(), second.begin(), second.end());
      return first;
    };
    EXPECT_EQ(z, joined(z_0, z_1));
    EXPECT_EQ(d_a, joined(d_a_0, d_a_1));
  }
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
           "is neither valid, same nor a number (or two: height,width)");
  expect(error("conv2d", "{filters: 1048576, kernel: [65536], padding: 65536}", {4, 4, 1}),
         "would have 2^31 elements or more");
  expect(error("conv1d", "{filters: 1, kernel: [5], padding: 1}", {2, 3}),
         "kernel 5 is larger than the padded sequence 4 (input [2, 3], padding 1)");
  expect(error("conv1d", "{filters: 1, kernel: [1, 1]}", {2, 3}), "kernel wants 1 number, got 2");
  expect(error("conv1d", "{filters: 1, kernel: [1]}", {4, 4, 1}), "wants sequences [T, F], got [4, 4, 1]");
  expect(error("conv1d", "{filters: 1, kernel: [1], padding: \"1,1\"}", {2, 3}),
         "padding '1,1' is neither valid, same, causal nor a number");
  expect(error("conv_transpose2d", "{filters: 1, kernel: [1], padding: same}", {2, 2, 3}),
         "padding 'same' is neither valid nor a number (or two: height,width)");
  expect(error("conv_transpose2d", "{filters: 1, kernel: [2], padding: 2}", {2, 2, 3}),
         "padding 2 leaves nothing of the output (input [2, 2, 3])");
  expect(error("conv_transpose2d", "{filters: 1, kernel: [2], stride: [2], output_padding: [2]}", {2, 2, 3}),
         "output_padding 2 is not smaller than the stride 2");
  expect(error("conv_transpose2d", "{filters: 1, kernel: [2], stride: [65536]}", {65536, 65536, 1}),
         "would have 2^31 elements or more");
  expect(error("max_pool2d", "{kernel: [2], padding: 2}", {4, 4, 1}), "padding 2 is not smaller than the kernel");
  expect(error("avg_pool2d", "{kernel: [2]}", {4, 4}), "wants images [H, W, C], got [4, 4]");
  expect(error("global_avg_pool", "{}", {4}), "wants images [H, W, C], got [4]");
}

}  // namespace
}  // namespace backplane
