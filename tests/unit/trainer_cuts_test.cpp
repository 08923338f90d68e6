// How a step is cut: rows into slices, layers into stages, parameters into tiles, and which tensors pass through the
// workers' scratch. All of it is a function of network and batch.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bench/bare_step.h"
#include "support/model.h"
#include "trainer/scratch.h"
#include "trainer/slice.h"
#include "trainer/stage.h"
#include "trainer/tile.h"

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;

/// Data of this shape, and layers, of which the last is called `logits` and has 10 outputs.
struct Made : Lab {
  Made(const std::string& shape, const std::string& layers)
      : Lab(ExperimentText{.data = "synthetic: {random: {samples: 8, inputs: " + shape + ", classes: 10}}",
                           .layers = layers,
                           .loss = "softmax_cross_entropy",
                           .train = "steps: 1, batch_size: 8, optimizer: sgd"}) {}
  const Network& network() const { return model.network; }
  std::size_t index(const std::string& name) const {
    const auto& nodes = network().nodes();
    return static_cast<std::size_t>(
        std::find_if(nodes.begin(), nodes.end(), [&](const LayerNode& node) { return node.name() == name; }) -
        nodes.begin());
  }
};

Made perceptron() {
  return {"[40]", "{dense: {name: hidden, units: 64, activation: relu}}, {dense: {name: logits, units: 10}}"};
}
Made images() {
  return {"[16, 16, 3]",
          "{conv2d: {name: conv1, filters: 16, kernel: [3], padding: same, activation: relu}},"
          "{conv2d: {name: conv2, filters: 16, kernel: [3], padding: same, activation: gelu}},"
          "{global_avg_pool: {name: mean}}, {dense: {name: logits, units: 10}}"};
}
/// A residual block over batch_norm, which ends stages.
Made residual() {
  return {"[8, 8, 4]",
          "{batch_norm: {name: first}},"
          "{conv2d: {name: conv1, filters: 4, kernel: [3], padding: same}},"
          "{batch_norm: {name: norm, activation: relu}},"
          "{conv2d: {name: conv2, filters: 4, kernel: [3], padding: same}},"
          "{add: {name: sum, inputs: [conv1, conv2], activation: relu}},"
          "{max_pool2d: {name: pool, kernel: [2]}}, {dense: {name: logits, units: 10}}"};
}

TEST(Slices, AreASixteenthOfTheBatchWhereKernelsAllowIt) {
  const Made mlp = perceptron(), cnn = images();
  EXPECT_EQ(default_slice_rows(mlp.network(), 8), 16);
  EXPECT_EQ(default_slice_rows(mlp.network(), 128), 16);
  EXPECT_EQ(default_slice_rows(mlp.network(), 512), 32);
  EXPECT_EQ(default_slice_rows(mlp.network(), 513), 33);
  // Most multiplications by weights that no second-level cache holds: a quarter of the batch, up to 64.
  const Made wide{"[784]", "{dense: {name: hidden, units: 1024}}, {dense: {name: logits, units: 10}}"};
  EXPECT_EQ(default_slice_rows(wide.network(), 32), 16);
  EXPECT_EQ(default_slice_rows(wide.network(), 128), 32);
  EXPECT_EQ(default_slice_rows(wide.network(), 256), 64);
  EXPECT_EQ(default_slice_rows(wide.network(), 1024), 64);
  EXPECT_EQ(default_slice_rows(wide.network(), 2048), 128);
  EXPECT_EQ(default_slice_rows(cnn.network(), 16), 2)
      << "convolutions need two images, the small dense layer counts little";
  EXPECT_EQ(default_slice_rows(cnn.network(), 64), 4);
  EXPECT_EQ(default_slice_rows(cnn.network(), 512), 32);
}

TEST(Stages, BeginWithLayersThatSumOverTheBatch) {
  const Made one = images(), three = residual();
  EXPECT_EQ(cut_into_stages(one.network()).size(), 1u);
  const auto stages = cut_into_stages(three.network());
  ASSERT_EQ(stages.size(), 3u);
  EXPECT_EQ(stages[0].end, 0u) << "samples are gathered before the first layer's sums";
  EXPECT_EQ(stages[1].begin, three.index("first"));
  EXPECT_EQ(stages[2].begin, three.index("norm"));
  EXPECT_EQ(stages[2].end, three.network().nodes().size());
}

TEST(Tiles, CoverEveryParameterOnce) {
  for (Made (*make)() : {&perceptron, &images, &residual}) {
    const Made made = make();
    std::vector<std::vector<std::vector<int>>> covered;
    for (const LayerNode& node : made.network().nodes()) {
      auto& layer = covered.emplace_back();
      for (const Parameter& parameter : node.parameters) layer.emplace_back(static_cast<std::size_t>(parameter.count));
    }
    for (const Tile& tile : cut_into_tiles(made.network()))
      for (const Tile::Range& range : tile.ranges)
        for (std::int64_t i = range.begin; i < range.end; ++i)
          ++covered[tile.node][range.parameter][static_cast<std::size_t>(i)];
    for (const auto& layer : covered)
      for (const auto& parameter : layer)
        for (const int times : parameter) ASSERT_EQ(times, 1);
  }
}

TEST(BareStep, KnowsTheKernelsOfEveryShapeOfLayer) {
  Made made("[9, 8, 6]",
            "{conv2d: {filters: 4, kernel: [3, 2], stride: [2, 1], dilation: [1, 2], groups: 2, padding: '1,2'}},"
            "{conv_transpose2d: {filters: 6, kernel: [3], stride: [2], output_padding: [0, 1], groups: 2}},"
            "{reshape: {shape: [-1, 6]}}, {conv1d: {filters: 8, kernel: 4, stride: 2, padding: same}},"
            "{gru: {units: 4, bidirectional: true, bias: false}}, {attention: {heads: 2}},"
            "{dense: {units: 5, flatten: false}}, {batch_norm: {}}, {dense: {name: logits, units: 10}}");
  Arena arena(3);
  BareStep step(made.experiment.network, made.network(), arena, 8, 3);
  EXPECT_TRUE(step.has_kernels());
  step.run();
}

TEST(Scratch, TakesWhatNobodyNeedsLater) {
  const Made made = images();
  const ScratchPlan plan = plan_scratch(made.network(), cut_into_stages(made.network()), 4, sizeof(double));
  EXPECT_TRUE(plan.z[made.index("conv1")]) << "relu's derivative is read off a";
  EXPECT_FALSE(plan.z[made.index("conv2")]) << "gelu's needs z";
  EXPECT_FALSE(plan.z[made.index("mean")]) << "without activation, z is what the next layer reads";
  EXPECT_FALSE(plan.z[made.index("logits")]);
  for (const char* name : {"conv1", "conv2", "mean"}) EXPECT_TRUE(plan.delta[made.index(name)]) << name;
  EXPECT_FALSE(plan.delta[made.index("logits")])
      << "the loss writes it, and its gradient is one product over the batch";
  EXPECT_FALSE(plan_scratch(perceptron().network(), {{0, 2}}, 4, 8).delta[0]) << "likewise";
}

TEST(Scratch, KeepsWhatAnotherStageWritesOrReads) {
  const Made made = residual();
  const ScratchPlan plan = plan_scratch(made.network(), cut_into_stages(made.network()), 4, sizeof(double));
  EXPECT_FALSE(plan.delta[made.index("norm")]) << "read before and after the sums";
  EXPECT_FALSE(plan.delta[made.index("conv1")]) << "`sum` writes it one stage before `norm` adds to it";
  EXPECT_FALSE(plan.z[made.index("norm")]) << "a layer with state may look at its output";
  for (const char* name : {"conv2", "sum", "pool"}) EXPECT_TRUE(plan.delta[made.index(name)]) << name;
}

TEST(Scratch, GivesNoTwoLivingTensorsTheSamePlace) {
  // A graph with δ of very different sizes and lives: `a` lives from the last layer's backward to the first's.
  const Made made("[12, 12, 2]",
                  "{conv2d: {name: a, filters: 5, kernel: [3], padding: same}},"
                  "{conv2d: {name: b, filters: 9, kernel: [1]}}, {conv2d: {name: c, filters: 3, kernel: [1]}},"
                  "{concat: {name: d, inputs: [a, c]}}, {conv2d: {name: e, filters: 5, kernel: [1]}},"
                  "{add: {name: f, inputs: [a, e]}}, {global_avg_pool: {name: g}}, {dense: {name: logits, units: 10}}");
  constexpr std::int64_t kRows = 3;
  const auto& nodes = made.network().nodes();
  const ScratchPlan plan = plan_scratch(made.network(), cut_into_stages(made.network()), kRows, sizeof(double));
  std::vector<bool> lives(nodes.size());
  for (std::size_t i = nodes.size(); i-- > 0;) {
    for (const int producer : nodes[i].inputs)
      if (producer != LayerNode::kData) lives[static_cast<std::size_t>(producer)] = true;
    for (std::size_t p = 0; p < nodes.size(); ++p)
      for (std::size_t q = 0; q < p; ++q) {
        if (!lives[p] || !lives[q] || !plan.delta[p] || !plan.delta[q]) continue;
        const auto end = [&](std::size_t n) {
          return *plan.delta[n] + static_cast<std::uint64_t>(kRows * nodes[n].output_size) * sizeof(double);
        };
        EXPECT_TRUE(end(p) <= *plan.delta[q] || end(q) <= *plan.delta[p]) << nodes[p].name() << ", " << nodes[q].name();
        EXPECT_LE(end(p), plan.bytes);
      }
    lives[i] = false;
  }
}

}  // namespace
}  // namespace backplane
