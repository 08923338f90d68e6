// The second promise: nothing that a run computes depends on the number of threads, on how tasks are scheduled, or on
// being run twice. Compared by the digest of all weights after training, bit for bit.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "experiment/experiment.h"
#include "parallel/arena.h"
#include "support/model.h"
#include "trainer/trainer.h"

namespace backplane {
namespace {

constexpr const char* kMlp =
    "{dense: {name: a, units: 67, activation: relu}}, "
    "{dense: {name: b, units: 33, activation: gelu, trainable: {b: false}}}, {dense: {name: c, units: 6}}";
/// What looks beyond a sample, or draws: batch statistics, masks, two branches; inputs [9, 5] seen as an image.
constexpr const char* kConv =
    "{reshape: {shape: [9, 5, 1]}}, {conv2d: {filters: 20, kernel: 3, padding: same, bias: false}}, "
    "{batch_norm: {name: n, activation: relu}}, {conv2d: {name: c, filters: 20, kernel: 3, padding: same}}, "
    "{batch_norm: {name: m}}, {add: {inputs: [m, n], activation: relu}}, {max_pool2d: {kernel: 2}}, "
    "{dropout: {rate: 0.4}}, {dense: {units: 6}}";
constexpr const char* kRecurrent =
    "{lstm: {units: 19, bidirectional: true}}, {gru: {units: 23}}, {dropout: {rate: 0.2}}, "
    "{rnn: {units: 11, output: last}}, {dense: {units: 6}}";
constexpr const char* kStateful =
    "{lstm: {units: 19, stateful: true}}, {batch_norm: {}}, {gru: {units: 7, stateful: true, output: last}}, "
    "{dense: {units: 6}}";
constexpr const char* kAttention =
    "{dense: {name: e, units: 12, flatten: false}}, {position_embedding: {name: p}}, {layer_norm: {}}, "
    "{attention: {heads: 3, causal: true, name: t}}, {add: {inputs: [p, t]}}, {global_avg_pool: {}}, {dense: {units: "
    "6}}";

struct Case {
  const char* name;
  const char* dtype;
  const char* train;  ///< the section `train:` but for the batch size
  int batch_size;     ///< of 150 samples: the last batch of an epoch is smaller
  const char* layers = kMlp;
  bool has_lengths = false;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

std::string yaml(const Case& c) {
  return std::string("name: threads\nseed: 7\ndtype: ") + c.dtype +
         "\ndata: {synthetic: {random: {inputs: [9, 5], classes: 6, samples: 150, lengths: " +
         (c.has_lengths ? "true" : "false") + "}}}\nnetwork: {layers: [" + c.layers +
         "], loss: softmax_cross_entropy}\ntrain: {batch_size: " + std::to_string(c.batch_size) + ", " + c.train +
         "}\n";
}

Experiment read(const std::string& text, const Registry& registry) {
  const std::string path = ::testing::TempDir() + "determinism.yaml";
  std::ofstream(path) << text;
  return read_experiment({.file = path}, registry);
}

/// The bits of what was measured.
std::string text_of(const Metrics& metrics) {
  std::string text = fmt::format(" loss {:a}", metrics.loss);
  for (const auto& [name, value] : metrics.values) text += fmt::format(" {} {:a}", name, value);
  return text;
}

/// Trains from the start and returns the digest of the weights after each step with its metrics; at the end, those of
/// an evaluation.
std::vector<std::string> train(const Experiment& experiment, const Registry& registry, int threads) {
  Model model = build_model(experiment, registry);
  Arena arena(threads);
  Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
  std::vector<std::string> trajectory;
  while (!trainer.is_finished()) {
    const Metrics& metrics = trainer.step();
    trajectory.push_back(model.network.weights_digest() + text_of(metrics));
  }
  trajectory.push_back(text_of(trainer.evaluate(model.data.train)));
  return trajectory;
}

class Threads : public ::testing::TestWithParam<Case> {};

TEST_P(Threads, EveryStepHasTheSameBitsOnAnyNumberOfThreads) {
  const Registry& registry = testing::plugins();
  const Experiment experiment = read(yaml(GetParam()), registry);
  const std::vector<std::string> alone = train(experiment, registry, 1);
  ASSERT_GT(alone.size(), 2u);
  EXPECT_NE(alone.front(), alone[alone.size() - 2]) << "nothing was trained, so nothing would be proved";
  for (const int threads : {1, 2, 3, 5, 8, 16})
    EXPECT_EQ(train(experiment, registry, threads), alone) << threads << " threads";
}

INSTANTIATE_TEST_SUITE_P(
    Networks, Threads,
    ::testing::Values(Case{"adam_f32", "float32", "epochs: 2, optimizer: adam", 64},
                      Case{"adam_f64", "float64", "epochs: 2, optimizer: adam", 64},
                      Case{"sgd_small_batches", "float32", "epochs: 1, optimizer: {sgd: {lr: 0.1}}", 17},
                      Case{"clip_by_norm", "float32", "epochs: 2, optimizer: momentum, clip: {norm: 0.5}", 50},
                      Case{"lamb_f32", "float32", "epochs: 2, optimizer: lamb", 50},
                      Case{"lamb_clipped_f64", "float64", "epochs: 2, optimizer: lamb, clip: {norm: 0.5}", 50},
                      Case{"conv_f32", "float32", "epochs: 2, optimizer: adam", 64, kConv},
                      Case{"conv_f64", "float64", "epochs: 1, optimizer: adam", 37, kConv},
                      Case{"recurrent_f32", "float32", "epochs: 2, optimizer: adam", 64, kRecurrent},
                      Case{"lengths_f32", "float32", "epochs: 2, optimizer: adam", 64, kRecurrent, true},
                      Case{"lengths_f64", "float64", "epochs: 1, optimizer: adam", 64, kRecurrent, true},
                      Case{"stateful", "float32", "epochs: 2, streams: true, optimizer: adam", 40, kStateful},
                      Case{"attention_f32", "float32", "epochs: 2, optimizer: adam", 64, kAttention},
                      Case{"attention_lengths_f64", "float64", "epochs: 1, optimizer: adam", 64, kAttention, true},
                      Case{"slices_of_one_row", "float32", "epochs: 1, slice: 1, optimizer: adamw", 23}),
    [](const auto& test) { return std::string(test.param.name); });

class Probes : public ::testing::TestWithParam<const char*> {};

/// Snapshots and evaluations leave weights, running statistics and carried state alone.
TEST_P(Probes, DoNotChangeTraining) {
  const Registry& registry = testing::plugins();
  const Experiment experiment =
      read(yaml({"probe", "float32", "epochs: 2, streams: true, optimizer: adam", 32, GetParam()}), registry);
  Model model = build_model(experiment, registry);
  Arena arena(3);
  Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
  std::vector<std::string> trajectory;
  while (!trainer.is_finished()) {
    trainer.probe(8);
    trainer.evaluate(model.data.train);
    const Metrics& metrics = trainer.step();
    trajectory.push_back(model.network.weights_digest() + text_of(metrics));
  }
  trajectory.push_back(text_of(trainer.evaluate(model.data.train)));
  EXPECT_EQ(trajectory, train(experiment, registry, 2));
}

INSTANTIATE_TEST_SUITE_P(Networks, Probes, ::testing::Values(kMlp, kConv, kRecurrent, kStateful));

TEST(Threads, AnotherSeedGivesOtherBits) {
  const Registry& registry = testing::plugins();
  Experiment experiment = read(yaml({"seed", "float32", "epochs: 1, optimizer: adam", 32}), registry);
  const std::vector<std::string> seven = train(experiment, registry, 2);
  experiment.seed = 8;
  EXPECT_NE(train(experiment, registry, 2).back(), seven.back());
}

}  // namespace
}  // namespace backplane
