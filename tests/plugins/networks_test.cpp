// Networks that dense alone cannot make: several inputs per layer, several readers of one layer, gradients slice by
// slice beside batch-wide ones, saved tensors, workspaces. Checked by finite differences, and bit by bit.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "plugins/bench.h"
#include "support/paths.h"
#include "trainer/gradient_check.h"

namespace backplane {
namespace {

struct Graph {
  const char* name;
  const char* layers;
  std::size_t parameters;  ///< how many tensors the check must look at
};
void PrintTo(const Graph& graph, std::ostream* out) {
  *out << graph.name;
}

const Graph kGraphs[] = {
    {"residual",
     "    - dense: {name: in, units: 5, activation: tanh}\n"
     "    - dense: {name: inner, units: 5, activation: sigmoid}\n"
     "    - sum: {name: add, inputs: [inner, in], activation: tanh}\n"
     "    - dense: {name: out, units: 3, activation: tanh}\n",
     6},
    {"one_layer_read_three_times",
     "    - dense: {name: in, units: 4, activation: tanh}\n"
     "    - narrow_scale: {name: left, inputs: in, init: {s: {uniform: {low: 0.5, high: 1.5}}}}\n"
     "    - wide_scale: {name: right, inputs: in, init: {s: {uniform: {low: 0.5, high: 1.5}}}, activation: swish}\n"
     "    - sum_3: {name: add, inputs: [left, in, right]}\n"
     "    - dense: {name: out, units: 3, inputs: add}\n",
     6},
    {"one_layer_twice_in_one",
     "    - dense: {name: in, units: 4, activation: tanh}\n"
     "    - narrow_scale: {name: s, init: {s: {normal: {std: 1.0}}}}\n"
     "    - sum: {name: twice, inputs: [s, s], activation: tanh}\n"
     "    - dense: {name: out, units: 3}\n",
     5},
    {"data_read_by_two",
     "    - dense: {name: left, units: 4, activation: tanh}\n"
     "    - dense: {name: right, units: 4, inputs: data, activation: sigmoid}\n"
     "    - sum: {name: add, inputs: [left, right]}\n"
     "    - unit_length: {name: length}\n"
     "    - negate: {name: minus}\n"
     "    - pick: {name: some, offset: 1, columns: [0, 2, 2], factor: 1.5, activation: {steep: {steepness: 3}}}\n"
     "    - dense: {name: out, units: 3}\n",
     6},
    {"normalised_residual",
     "    - dense: {name: in, units: 12, bias: false}\n"
     "    - batch_norm: {name: norm, activation: tanh}\n"
     "    - reshape: {name: steps, shape: [3, -1]}\n"
     "    - dense: {name: each, units: 4, flatten: false}\n"
     "    - position_embedding: {name: places}\n"
     "    - layer_norm: {name: rows, epsilon: 0.1}\n"
     "    - add: {name: sum, inputs: [rows, steps], activation: tanh}\n"
     "    - multiply: {name: gate, inputs: [sum, places]}\n"
     "    - dropout: {name: drop, rate: 0.25}\n"
     "    - concat: {name: both, inputs: [drop, sum]}\n"
     "    - batch_norm: {name: again}\n"
     "    - zero_pad: {name: pad, padding: [1, 0]}\n"
     "    - scale: {name: factors, bias: true}\n"
     "    - flatten: {name: row}\n"
     "    - dense: {name: out, units: 3}\n",
     14},
    {"transformer_block",
     "    - reshape: {name: steps, shape: [3, 2]}\n"
     "    - dense: {name: in, units: 4, flatten: false}\n"
     "    - position_embedding: {name: places}\n"
     "    - layer_norm: {name: first, epsilon: 0.1}\n"
     "    - attention: {name: attention, heads: 2, causal: true}\n"
     "    - add: {name: seen, inputs: [attention, places]}\n"
     "    - layer_norm: {name: second, epsilon: 0.1}\n"
     "    - dense: {name: wide, units: 8, flatten: false, activation: gelu}\n"
     "    - dense: {name: narrow, units: 4, flatten: false}\n"
     "    - add: {name: block, inputs: [narrow, seen]}\n"
     "    - dense: {name: out, units: 3}\n",
     17},
    {"scale_of_data",
     "    - narrow_scale: {name: first, init: {s: {uniform: {low: 0.5, high: 1.5}}}, activation: softplus}\n"
     "    - unit_length: {name: length, activation: tanh}\n"
     "    - dense: {name: out, units: 3}\n",
     3},
};

std::string yaml(const Graph& graph, const char* dtype) {
  return std::string("name: graph\nseed: 11\ndtype: ") + dtype +
         "\ndata: {synthetic: {random: {inputs: 6, targets: 3, samples: 50}}}\n"
         "network:\n  layers:\n" +
         graph.layers +
         "  loss: squared_error\ntrain: {steps: 5, batch_size: 50, slice: 7, optimizer: {momentum: {lr: 0.05}}}\n";
}

Experiment read(const std::string& text) {
  const testing::TemporaryFolder folder("plugins");
  std::ofstream(folder.path("graph.yaml")) << text;
  return read_experiment({.file = folder.path("graph.yaml"), .overrides = {}, .override_words = {}, .plugins = {}},
                         testing::all_plugins());
}

class Graphs : public ::testing::TestWithParam<Graph> {};
INSTANTIATE_TEST_SUITE_P(Good, Graphs, ::testing::ValuesIn(kGraphs),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(Graphs, HaveTheGradientsThatDifferencesConfirm) {
  Model model = build_model(read(yaml(GetParam(), "float64")), testing::all_plugins());
  Arena arena(2);
  const auto findings =
      check_gradients(model.network, model.data, model.loss, arena, {.samples = 8, .elements = 48, .seed = 3});
  EXPECT_EQ(findings.size(), GetParam().parameters);
  for (const GradientFinding& finding : findings) {
    SCOPED_TRACE(finding.layer + "/" + finding.parameter);
    EXPECT_GT(finding.checked, 0);
    EXPECT_LE(finding.at_kinks, finding.checked / 4) << "every function here is smooth; few gradients are too small";
    EXPECT_LT(finding.worst_error, 1e-7);
    EXPECT_LT(finding.direction_error, 1e-8);
  }
}

TEST_P(Graphs, TrainToTheSameBitsOnAnyNumberOfThreads) {
  for (const char* dtype : {"float32", "float64"}) {
    const Experiment experiment = read(yaml(GetParam(), dtype));
    std::string expected, before;
    for (const int threads : {1, 2, 3, 8}) {
      Model model = build_model(experiment, testing::all_plugins());
      before = model.network.weights_digest();
      Arena arena(threads);
      Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
      while (!trainer.is_finished()) trainer.step();
      ASSERT_EQ(trainer.state().step, 5);
      if (threads == 1) expected = model.network.weights_digest();
      EXPECT_EQ(model.network.weights_digest(), expected) << dtype << ", " << threads << " threads";
    }
    EXPECT_NE(expected, before) << "nothing was trained";
  }
}

/// After one step on the same numbers, the factors of `narrow_scale` (slice by slice) and `wide_scale` (batch-wide).
TEST(Gradients, SliceBySliceAndBatchWideAgree) {
  const auto factors = [](const char* type) {
    const std::string text =
        std::string("name: graph\nseed: 5\ndtype: float64\n") +
        "data: {synthetic: {random: {inputs: 6, targets: 6, samples: 50}}}\nnetwork:\n  layers:\n    - " + type +
        ": {}\n  loss: squared_error\ntrain: {steps: 1, batch_size: 50, slice: 7, optimizer: {sgd: {lr: 1}}}\n";
    const Experiment experiment = read(text);
    Model model = build_model(experiment, testing::all_plugins());
    Arena arena(2);
    Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
    trainer.step();
    const Parameter& s = model.network.nodes()[0].parameters[0];
    return testing::widened(s.value.data(), s.count, DType::float64);
  };
  const auto by_slice = factors("narrow_scale"), at_once = factors("wide_scale");
  // 50 products each, added in two orders: a few units in the last place of numbers around 1.
  testing::expect_near(by_slice, at_once, DType::float64, 50);
  EXPECT_GT(std::abs(by_slice[0] - 1.0), 1e-3) << "the step did nothing";
}

TEST(Gradients, OfAWrongLayerAreFoundWrong) {
  // The check itself must be able to fail: bad/wrong_gradient.cpp doubles ∂C/∂s.
  Registry registry;
  registry.load(std::string(testing::kPluginFolder) + "/dense.bp.so");
  registry.load(std::string(testing::kPluginFolder) + "/activation.bp.so");
  registry.load(std::string(testing::kBadPluginFolder) + "/wrong_gradient.bp.so");
  const testing::TemporaryFolder folder("wrong");
  std::ofstream(folder.path("wrong.yaml"))
      << yaml({"wrong", "    - dense: {units: 4}\n    - doubled: {}\n    - dense: {units: 3}\n", 0}, "float64");
  Model model = build_model(
      read_experiment({.file = folder.path("wrong.yaml"), .overrides = {}, .override_words = {}, .plugins = {}},
                      registry),
      registry);
  Arena arena(1);
  const auto findings = check_gradients(model.network, model.data, model.loss, arena, {});
  for (const GradientFinding& finding : findings) {
    // An error of 0.5 is that of a value against its double; the layers around it are right.
    EXPECT_NEAR(finding.worst_error, finding.layer == "doubled" ? 0.5 : 0.0, 1e-8) << finding.layer;
  }
}

}  // namespace
}  // namespace backplane
