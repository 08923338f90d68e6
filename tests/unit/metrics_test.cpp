#include "metrics/table.h"

#include <gtest/gtest.h>

#include <cctype>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/model.h"

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;
using testing::user_error_of;
using Numbers = std::vector<double>;

std::unique_ptr<Metric> metric(const std::string& yaml) {
  const config::Node choice = config::validate(config::parse_text(yaml, "metric"), metric_schema());
  return metric_kind(choice).make(choice.choice());
}

struct Pair {
  Numbers a, target;
};

/// The value over samples of outputs and target, which is asked to be the same in both types.
double value_of(const Metric& metric, const std::vector<Pair>& samples) {
  Numbers sums(static_cast<std::size_t>(metric.sums())), narrow_sums = sums;
  for (const auto& [a, target] : samples) {
    const std::vector<float> narrow_a(a.begin(), a.end()), narrow_target(target.begin(), target.end());
    metric.add(Compared<double>{a.data(), a.data(), target.data(), std::ssize(a)}, sums.data());
    metric.add(Compared<float>{narrow_a.data(), narrow_a.data(), narrow_target.data(), std::ssize(a)},
               narrow_sums.data());
  }
  EXPECT_EQ(sums, narrow_sums);
  return metric.value(sums.data(), std::ssize(samples));
}

TEST(Metric, HasANameThatNoOtherLineOfTheMetricsHas) {
  std::set<std::string> taken = {
      "step",          "epoch",  "split",         "loss",         "lr",
      "samples_per_s", "digest", "layer_digests", "learning_rate"};  // in metrics.jsonl, and among the curves of a
                                                                     // trace
  for (const MetricKind& kind : metrics()) {
    const std::string name = metric(kind.name)->name();
    EXPECT_TRUE(taken.insert(name).second) << name;
    for (const char c : name) EXPECT_TRUE(std::islower(c) || std::isdigit(c) || c == '_') << name;
    EXPECT_FALSE(kind.doc.empty()) << name;
  }
}

TEST(Accuracy, IsTheShareOfSamplesWhoseLargestOutputIsTheRightOne) {
  const auto accuracy = metric("accuracy");
  EXPECT_EQ(value_of(*accuracy, {{{0, 2, 1}, {0, 1, 0}}, {{0, 2, 1}, {0, 0, 1}}}), 0.5);
  EXPECT_EQ(value_of(*accuracy, {{{1, 1, 0}, {1, 0, 0}}}), 1.0) << "of equal ones, the first";
  EXPECT_EQ(value_of(*accuracy, {{{1, 1, 0}, {0, 1, 0}}}), 0.0);
}

TEST(Accuracy, OfOneOutputAsksForTheSideOfOneHalf) {
  const auto accuracy = metric("accuracy");
  EXPECT_EQ(value_of(*accuracy, {{{0.6}, {1}}, {{0.4}, {1}}, {{0.4}, {0}}, {{0.5}, {1}}}), 0.75);
}

/// Outputs are the inputs, as the weights are the identity.
ExperimentText of_outputs(const std::string& inputs, const std::string& data, const std::string& train,
                          const std::string& loss = "squared_error") {
  return {.data = "inline: {inputs: " + inputs + ", " + data + "}",
          .layers =
              "{dense: {name: last, units: 3, flatten: false, bias: false, "
              "init: {W: {values: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}}}}",
          .loss = loss,
          .train = "steps: 1, optimizer: sgd" + train};
}

constexpr const char* kThreeSamples = "[[3, 2, 1], [1, 2, 3], [2, 1, 3]]";
constexpr const char* kTwoSequences = "[[[3, 2, 1], [3, 1, 2], [3, 2, 1]], [[1, 3, 2], [1, 2, 3], [2, 1, 3]]]";

Metrics metrics_of(const ExperimentText& text) {
  Lab lab(text);
  return lab.trainer.evaluate(lab.model.data.train);
}

TEST(Metrics, AreAccuracyUnlessAskedForWhereThereAreLabels) {
  const Metrics labels = metrics_of(of_outputs(kThreeSamples, "labels: [0, 1, 2]", ""));
  ASSERT_EQ(labels.values.size(), 1u);
  EXPECT_EQ(labels.find("accuracy"), 2.0 / 3);
  EXPECT_TRUE(metrics_of(of_outputs(kThreeSamples, "labels: [0, 1, 2]", ", metrics: []")).values.empty());
  EXPECT_TRUE(metrics_of(of_outputs(kThreeSamples, "targets: [[0, 0, 0], [1, 1, 1], [2, 2, 2]]", "")).values.empty());
}

/// Right are steps 0 and 2 of the first sequence, 2 of the second.
TEST(Metrics, CountEachStepWithinTheLength) {
  const std::string labels = "labels: [[0, 1, 0], [0, 0, 2]]";
  EXPECT_EQ(metrics_of(of_outputs(kTwoSequences, labels, "")).find("accuracy"), 3.0 / 6);
  EXPECT_EQ(metrics_of(of_outputs(kTwoSequences, labels + ", lengths: [1, 3]", "")).find("accuracy"), 2.0 / 4);
  EXPECT_EQ(metrics_of(of_outputs(kTwoSequences, labels + ", lengths: [2, 2]", "")).find("accuracy"), 1.0 / 4);
}

TEST(Metrics, OfAnEpochAreOfItsSamplesInAnyBatches) {
  Lab lab(of_outputs(kThreeSamples, "labels: [0, 1, 2]", ", batch_size: 2, shuffle: false"));
  EXPECT_TRUE(lab.trainer.epoch_metrics().values.empty()) << "before the first step";
  EXPECT_EQ(lab.trainer.step().find("accuracy"), 0.5);
  EXPECT_EQ(lab.trainer.epoch_metrics().find("accuracy"), 0.5);
  EXPECT_EQ(lab.trainer.evaluate(lab.model.data.train).find("accuracy"), 2.0 / 3);
}

std::string error_of(const ExperimentText& text) {
  return user_error_of([&] { Lab lab(text); });
}

void expect_error(const ExperimentText& text, const std::string& part) {
  const std::string error = error_of(text);
  EXPECT_TRUE(error.starts_with("78 ") && error.find(part) != std::string::npos) << error;
}

TEST(Metrics, SayWhatTheyDoNotGoWith) {
  const std::string targets = "targets: [[0, 0, 0], [1, 1, 1], [2, 2, 2]]", labels = "labels: [0, 1, 2]";
  expect_error(of_outputs(kThreeSamples, targets, ", metrics: [accuracy]"),
               "the metric 'accuracy' is of data with `labels`, but this has `targets`");
  expect_error(of_outputs(kThreeSamples, labels, ", metrics: [accuracy, accuracy]"), "train.metrics[1]");
  expect_error(of_outputs(kThreeSamples, labels, ", metrics: [acuracy]"), "did you mean 'accuracy'?");
}

TEST(Metrics, ThatEarlyStoppingLooksAtAreMeasured) {
  const auto text = [](const std::string& data, const std::string& metric, const std::string& metrics) {
    return of_outputs(kThreeSamples, data + ", validation: 1",
                      ", early_stopping: {patience: 1, metric: " + metric + "}" + metrics);
  };
  const std::string targets = "targets: [[0, 0, 0], [1, 1, 1], [2, 2, 2]]", labels = "labels: [0, 1, 2]";
  EXPECT_EQ(error_of(text(labels, "accuracy", "")), "");
  EXPECT_EQ(error_of(text(labels, "loss", ", metrics: []")), "");
  EXPECT_EQ(error_of(text(targets, "loss", "")), "");
  expect_error(text(labels, "acuracy", ""), "did you mean 'accuracy'?   known: loss, accuracy");
  expect_error(text(labels, "accuracy", ", metrics: []"), "the metric 'accuracy' is not measured");
  expect_error(text(targets, "accuracy", ""), "the data has no labels, so there is no accuracy to look at");
}

}  // namespace
}  // namespace backplane
