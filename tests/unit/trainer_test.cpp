#include "trainer/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "random/permutation.h"
#include "support/model.h"

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;
using testing::user_error_of;
using Indices = std::vector<std::int64_t>;

/// Ten samples with labels, a small network with a hidden layer, and a training section of the test's own.
ExperimentText ten_samples(const std::string& train) {
  return {.data = "synthetic: {random: {samples: 10, inputs: 3, classes: 4, test: 7}}",
          .layers = "{dense: {name: hidden, units: 6, activation: tanh}}, {dense: {name: logits, units: 4}}",
          .loss = "softmax_cross_entropy",
          .train = train,
          .seed = "5"};
}

TEST(Trainer, CountsStepsOfARun) {
  const std::tuple<const char*, std::int64_t, std::int64_t> runs[] = {{"epochs: 2, batch_size: 4", 3, 6},
                                                                      {"epochs: 2, batch_size: 5", 2, 4},
                                                                      {"epochs: 3, batch_size: 10", 1, 3},
                                                                      {"epochs: 3, batch_size: 64", 1, 3},
                                                                      {"steps: 7, batch_size: 4", 3, 7},
                                                                      {"epochs: 2, steps: 4, batch_size: 4", 3, 4},
                                                                      {"epochs: 2, steps: 400, batch_size: 4", 3, 6}};
  for (const auto& [train, per_epoch, total] : runs) {
    Lab lab(ten_samples(std::string(train) + ", optimizer: sgd"));
    EXPECT_EQ(lab.trainer.steps_per_epoch(), per_epoch) << train;
    EXPECT_EQ(lab.trainer.total_steps(), total) << train;
    lab.run();
    EXPECT_EQ(lab.trainer.state().step, total) << train;
    EXPECT_EQ(lab.trainer.state().epoch, total / per_epoch) << train;
    EXPECT_EQ(lab.trainer.state().position, total % per_epoch) << train;
  }
}

TEST(Trainer, KeepsBooksOfAnEpochAndItsLastPartialBatch) {
  Lab lab(ten_samples("epochs: 2, batch_size: 4, optimizer: sgd"));
  double loss = 0, right = 0;
  const std::int64_t sizes[] = {4, 4, 2};
  for (std::int64_t batch = 0; batch < 3; ++batch) {
    EXPECT_EQ(lab.trainer.state().position, batch);
    const Metrics& metrics = lab.trainer.step();
    EXPECT_EQ(metrics.samples, sizes[batch]);
    loss += metrics.loss * static_cast<double>(metrics.samples);
    right += *metrics.find("accuracy") * static_cast<double>(metrics.samples);
    EXPECT_EQ(lab.trainer.at_end_of_epoch(), batch == 2);
    EXPECT_EQ(lab.trainer.state().owes_end_of_epoch, batch == 2);
    EXPECT_EQ(lab.trainer.state().epoch_samples, std::min<std::int64_t>(10, 4 * (batch + 1)));
  }
  // The epoch's metrics are means over samples, not over batches. Losses of size 1, summed in another order.
  EXPECT_NEAR(lab.trainer.epoch_metrics().loss, loss / 10, 1e-14);
  EXPECT_NEAR(*lab.trainer.epoch_metrics().find("accuracy"), right / 10, 1e-14);
  EXPECT_EQ(lab.trainer.epoch_metrics().samples, 10);
  EXPECT_EQ(lab.trainer.state().epoch, 1);
  EXPECT_EQ(lab.trainer.state().position, 0);
  lab.trainer.end_epoch({});
  EXPECT_FALSE(lab.trainer.state().owes_end_of_epoch);
  EXPECT_EQ(lab.trainer.state().train_metrics->loss, lab.trainer.epoch_metrics().loss);
  const Metrics next = lab.trainer.step();  // books of the next epoch begin at nothing
  EXPECT_EQ(lab.trainer.state().epoch_samples, 4);
  EXPECT_EQ(lab.trainer.epoch_metrics().loss, next.loss);
}

TEST(Trainer, TakesTheMeanGradientOfAPartialBatch) {
  // The gradient of the last two samples is the mean of the gradients of each: C is a mean over the batch at hand.
  const auto gradient = [](const std::string& inputs, const std::string& targets, int batch, int skip) {
    Lab lab(ExperimentText{.data = "inline: {inputs: " + inputs + ", targets: " + targets + "}",
                           .layers = "{dense: {units: 1, bias: false, init: {W: ones}}}",
                           .train = "steps: 9, shuffle: false, batch_size: " + std::to_string(batch) +
                                    ", optimizer: {sgd: {lr: 1.0e-300}}"});
    for (int i = 0; i < skip; ++i) lab.trainer.step();
    lab.trainer.probe(0);
    return lab.gradient(0, 0)[0];
  };
  const double last_two = gradient("[[1], [2], [3], [4], [5]]", "[[0], [0], [0], [1], [2]]", 3, 1);
  EXPECT_DOUBLE_EQ(last_two, ((4.0 - 1) * 4 + (5.0 - 2) * 5) / 2);
  EXPECT_DOUBLE_EQ(last_two, (gradient("[[4]]", "[[1]]", 1, 0) + gradient("[[5]]", "[[2]]", 1, 0)) / 2);
}

/// Indices of the samples of each batch, by looking before each step.
std::vector<Indices> batches(Lab& lab) {
  std::vector<Indices> all;
  while (!lab.trainer.is_finished()) {
    all.push_back(lab.trainer.probe(0));
    lab.trainer.step();
  }
  return all;
}

TEST(Trainer, WithoutShufflingTakesSamplesInOrderEachEpoch) {
  Lab lab(ten_samples("epochs: 2, batch_size: 4, shuffle: false, optimizer: sgd"));
  const std::vector<Indices> epoch{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}};
  std::vector<Indices> both = epoch;
  both.insert(both.end(), epoch.begin(), epoch.end());
  EXPECT_EQ(batches(lab), both);
}

TEST(Trainer, ShufflesByAPermutationOfSeedAndEpoch) {
  Lab lab(ten_samples("epochs: 3, batch_size: 4, optimizer: sgd"));
  const std::vector<Indices> all = batches(lab);
  ASSERT_EQ(all.size(), 9u);
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    Indices order;
    for (std::size_t b = 0; b < 3; ++b) order.insert(order.end(), all[3 * epoch + b].begin(), all[3 * epoch + b].end());
    EXPECT_EQ(order, permutation(10, Stream(5, Purpose::shuffle, epoch))) << "epoch " << epoch;
  }
}

TEST(Trainer, ProbeComputesTheNextStepAndChangesNothing) {
  for (const char* optimizer : {"{adam: {lr: 0.05}}", "{sgd: {lr: 0.05}}"}) {
    const ExperimentText text = ten_samples(std::string("epochs: 5, batch_size: 4, optimizer: ") + optimizer);
    Lab probed(text), plain(text);
    while (!plain.trainer.is_finished()) {
      const std::string before = probed.model.network.weights_digest();
      probed.trainer.probe(32);
      std::vector<std::vector<double>> gradients;
      for (std::size_t node : {0u, 1u})
        for (std::size_t p : {0u, 1u}) gradients.push_back(probed.gradient(node, p));
      EXPECT_EQ(probed.model.network.weights_digest(), before);
      EXPECT_EQ(probed.trainer.state().step, plain.trainer.state().step);
      probed.trainer.step();
      for (std::size_t node : {0u, 1u})
        for (std::size_t p : {0u, 1u}) EXPECT_EQ(probed.gradient(node, p), gradients[2 * node + p]);
      plain.trainer.step();
      EXPECT_EQ(probed.model.network.weights_digest(), plain.model.network.weights_digest())
          << "step " << plain.trainer.state().step;
    }
  }
}

TEST(Trainer, ProbeGivesGradientsOfFrozenParametersToo) {
  Lab frozen(ExperimentText{.data = "inline: {inputs: [[3]], targets: [[5]]}",
                            .layers = "{dense: {units: 1, init: {W: {values: [[2]]}}, trainable: false}}",
                            .train = "steps: 1, optimizer: sgd"});
  frozen.trainer.probe(0);
  EXPECT_EQ(frozen.gradient(0, 0)[0], 3.0);
  EXPECT_EQ(frozen.gradient(0, 1)[0], 1.0);
}

TEST(Trainer, EvaluationChangesNothingAndCountsPartialBatches) {
  Lab lab(ten_samples("epochs: 5, batch_size: 4, optimizer: {adam: {lr: 0.05}}"));
  lab.trainer.step();
  const std::string before = lab.model.network.weights_digest();
  const Metrics test = lab.trainer.evaluate(*lab.model.data.test);
  EXPECT_EQ(lab.model.network.weights_digest(), before);
  EXPECT_EQ(lab.trainer.state().step, 1);
  EXPECT_EQ(test.samples, 7);
  // The mean over 7 samples does not depend on how they are cut into batches, but for the order of one sum.
  Lab other(ten_samples("epochs: 5, batch_size: 10, optimizer: {adam: {lr: 0.05}}"));
  Lab same(ten_samples("epochs: 5, batch_size: 4, optimizer: {adam: {lr: 0.05}}"));
  EXPECT_NEAR(other.trainer.evaluate(*other.model.data.test).loss, same.trainer.evaluate(*same.model.data.test).loss,
              1e-14);
  EXPECT_EQ(other.trainer.evaluate(*other.model.data.test).find("accuracy"),
            same.trainer.evaluate(*same.model.data.test).find("accuracy"));
}

/// The same with three samples more, set apart for validation: early stopping asks for them.
ExperimentText validated(const std::string& train) {
  ExperimentText text = ten_samples(train);
  text.data = "synthetic: {random: {samples: 13, inputs: 3, classes: 4, validation: 3}}";
  return text;
}

Metrics with_loss(double loss, double accuracy = 0.5) {
  return {.loss = loss, .values = {{"accuracy", accuracy}}, .samples = 1};
}

TEST(Trainer, StopsEarlyWhenTheLossHasNotImprovedForAsLongAsPatience) {
  Lab lab(validated("epochs: 50, batch_size: 10, optimizer: sgd, early_stopping: {patience: 2, min_delta: 0.1}"));
  const std::pair<double, std::int64_t> course[] = {{1.0, 0}, {0.8, 0}, {0.75, 1}, {0.65, 0}, {0.6, 1}, {0.56, 2}};
  for (const auto& [loss, without] : course) {
    ASSERT_FALSE(lab.trainer.is_finished());
    lab.trainer.step();
    lab.trainer.end_epoch(with_loss(loss));
    EXPECT_EQ(lab.trainer.state().epochs_without_improvement, without) << "at loss " << loss;
  }
  EXPECT_TRUE(lab.trainer.has_stopped_early());
  EXPECT_TRUE(lab.trainer.is_finished());
  EXPECT_EQ(lab.trainer.state().best, 0.65);
  EXPECT_EQ(lab.trainer.state().best_step, 4);
}

TEST(Trainer, StopsEarlyByAccuracyWhenAsked) {
  Lab lab(validated("epochs: 50, batch_size: 10, optimizer: sgd, early_stopping: {metric: accuracy, patience: 1}"));
  lab.trainer.end_epoch(with_loss(1.0, 0.5));
  lab.trainer.end_epoch(with_loss(2.0, 0.6));  // the loss is of no account
  EXPECT_FALSE(lab.trainer.has_stopped_early());
  lab.trainer.end_epoch(with_loss(0.1, 0.6));
  EXPECT_TRUE(lab.trainer.has_stopped_early());
}

TEST(Trainer, DoesNotStopEarlyUnasked) {
  Lab lab(ten_samples("epochs: 50, batch_size: 10, optimizer: sgd"));
  for (int i = 0; i < 10; ++i) lab.trainer.end_epoch(with_loss(1.0));
  EXPECT_FALSE(lab.trainer.is_finished());
}

TEST(Trainer, NamesStepAndTensorWhenTheLossDivergesAndLeavesParametersAlone) {
  // W becomes 1 − 1e200·(1·1) in the first step; in the second, a − y is 1e200 and its square is infinite.
  Lab lab(ExperimentText{.data = "inline: {inputs: [[1]], targets: [[0]]}",
                         .layers = "{dense: {name: l, units: 1, bias: false, init: {W: ones}}}",
                         .train = "steps: 9, optimizer: {sgd: {lr: 1.0e+200}}"});
  lab.trainer.step();
  const std::string before = lab.model.network.weights_digest();
  const std::string error = user_error_of([&] { lab.trainer.step(); });
  EXPECT_TRUE(error.starts_with("76 ") && error.find("the loss is not finite at step 2 (epoch 2)") != std::string::npos)
      << error;
  EXPECT_NE(error.find("the loss itself"), std::string::npos) << error;
  EXPECT_EQ(lab.model.network.weights_digest(), before);
  EXPECT_EQ(lab.trainer.state().step, 1);
}

TEST(Trainer, NamesTheLayerAndSampleWhereInfinityFirstStands) {
  // The second sample overflows in the second layer: 1e155 squared.
  Lab lab(ExperimentText{.data = "inline: {inputs: [[1], [1.0e+155], [2]], targets: [[0], [0], [0]]}",
                         .layers = "{dense: {name: first, units: 1, init: {W: {values: [[1.0e+80]]}}}}, "
                                   "{dense: {name: second, units: 1, init: {W: {values: [[1.0e+80]]}}}}",
                         .train = "steps: 9, batch_size: 3, shuffle: false, optimizer: sgd"});
  const std::string before = lab.model.network.weights_digest();
  const std::string error = user_error_of([&] { lab.trainer.step(); });
  EXPECT_NE(error.find("NaN or infinity first stands in z of layer 'second', sample 1 of the batch"), std::string::npos)
      << error;
  EXPECT_EQ(lab.model.network.weights_digest(), before);
}

TEST(Trainer, NamesAParameterThatIsNotFinite) {
  Lab lab(ten_samples("epochs: 1, batch_size: 10, optimizer: sgd"));
  lab.model.network.nodes()[1].parameters[0].value.as<double>()[5] = std::nan("");
  lab.trainer.executor().pack_layer(1);
  const std::string error = user_error_of([&] { lab.trainer.step(); });
  EXPECT_NE(error.find("parameter 'W' of layer 'logits', element 5"), std::string::npos) << error;
}

}  // namespace
}  // namespace backplane
