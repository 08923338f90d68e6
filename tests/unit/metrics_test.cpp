#include "metrics/table.h"

#include <gtest/gtest.h>

#include <cctype>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "checkpoint/reader.h"
#include "run/run.h"
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

TEST(TopK, IsTheShareOfSamplesWhoseRightClassIsAmongTheKLargest) {
  const auto top_2 = metric("{top_k: {k: 2}}");
  EXPECT_EQ(top_2->name(), "top_2");
  EXPECT_EQ(metric("top_k")->name(), "top_5");
  const Numbers outputs{1, 4, 3, 2};  // by size: classes 1, 2, 3, 0
  EXPECT_EQ(value_of(*top_2, {{outputs, {1, 0, 0, 0}}}), 0.0);
  EXPECT_EQ(value_of(*top_2, {{outputs, {0, 1, 0, 0}}}), 1.0);
  EXPECT_EQ(value_of(*top_2, {{outputs, {0, 0, 1, 0}}}), 1.0);
  EXPECT_EQ(value_of(*top_2, {{outputs, {0, 0, 0, 1}}}), 0.0);
  EXPECT_EQ(value_of(*top_2, {{outputs, {1, 0, 0, 0}}, {outputs, {0, 0, 1, 0}}, {outputs, {0, 1, 0, 0}}}), 2.0 / 3);
}

TEST(TopK, TakesTheLowerOfEqualClassesFirst) {
  const auto top_2 = metric("{top_k: {k: 2}}");
  const Numbers outputs{0, 7, 0, 0};  // by size: class 1, then 0, 2 and 3
  EXPECT_EQ(value_of(*top_2, {{outputs, {1, 0, 0, 0}}}), 1.0);
  EXPECT_EQ(value_of(*top_2, {{outputs, {0, 0, 1, 0}}}), 0.0);
  EXPECT_EQ(value_of(*top_2, {{outputs, {0, 0, 0, 1}}}), 0.0);
}

TEST(TopK, OfOneIsAccuracy) {
  const auto top_1 = metric("{top_k: {k: 1}}"), accuracy = metric("accuracy");
  for (int i = 0; i < 81; ++i)
    for (int right = 0; right < 4; ++right) {
      const Numbers outputs{i % 3 - 1.0, i / 3 % 3 - 1.0, i / 9 % 3 - 1.0, i / 27 - 1.0};
      Numbers target(4);
      target[static_cast<std::size_t>(right)] = 1;
      EXPECT_EQ(value_of(*top_1, {{outputs, target}}), value_of(*accuracy, {{outputs, target}})) << i << " " << right;
    }
}

TEST(TopK, IsNeverRightWhereTheRightOutputIsNoNumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto top_2 = metric("{top_k: {k: 2}}");
  EXPECT_EQ(value_of(*top_2, {{{nan, 1, 2}, {1, 0, 0}}}), 0.0);
  EXPECT_EQ(value_of(*top_2, {{{nan, 1, 2}, {0, 1, 0}}}), 0.0);
  EXPECT_EQ(value_of(*top_2, {{{nan, 1, 2}, {0, 0, 1}}}), 1.0);
}

TEST(MeanAbsoluteError, IsTheMeanOverSamplesAndTheirNumbers) {
  const auto error = metric("mean_absolute_error");
  EXPECT_EQ(value_of(*error, {{{1, -2}, {0, 2}}}), 2.5);
  EXPECT_EQ(value_of(*error, {{{1, -2}, {0, 2}}, {{3, 3}, {3, 3}}, {{0, 0}, {0, -1}}}), (1 + 4 + 0 + 0 + 0 + 1) / 6.0);
  EXPECT_FALSE(error->more_is_better());
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
  const std::string others = "labels: [[1, 1, 0], [0, 1, 2]]", top_2 = ", metrics: [{top_k: {k: 2}}]";
  EXPECT_EQ(metrics_of(of_outputs(kTwoSequences, others, top_2)).find("top_2"), 4.0 / 6);
  EXPECT_EQ(metrics_of(of_outputs(kTwoSequences, others + ", lengths: [1, 3]", top_2)).find("top_2"), 3.0 / 4);
}

/// As PyTorch's l1_loss(a[valid], y[valid]): the mean over the numbers of valid steps, whatever sample they are of.
TEST(MeanAbsoluteError, OfSequencesIsOverTheNumbersWithinTheLengths) {
  const std::string targets = "targets: [[[3, 2, 1], [0, 0, 0], [0, 0, 0]], [[1, 3, 5], [1, 2, 3], [-1, 1, 3]]]";
  const auto error_of = [&](const std::string& lengths) {
    return metrics_of(of_outputs(kTwoSequences, targets + lengths, ", metrics: [mean_absolute_error]"))
        .find("mean_absolute_error");
  };
  EXPECT_EQ(error_of(""), (6 + 6 + 3 + 3) / 18.0);
  EXPECT_EQ(error_of(", lengths: [1, 3]"), (3 + 3) / 12.0);
  EXPECT_EQ(error_of(", lengths: [2, 1]"), (6 + 3) / 9.0);
}

TEST(MeanAbsoluteError, EndsARunThatNoLongerLowersIt) {
  Lab lab(of_outputs(kThreeSamples, "targets: [[0, 0, 0], [1, 1, 1], [2, 2, 2]], validation: 1",
                     ", metrics: [mean_absolute_error], early_stopping: {patience: 1, metric: mean_absolute_error}"));
  const auto end_epoch = [&](double loss, double error) {
    lab.trainer.end_epoch(Metrics{.loss = loss, .values = {{"mean_absolute_error", error}}, .samples = 1});
  };
  end_epoch(1, 0.5);
  end_epoch(2, 0.4);
  EXPECT_EQ(lab.trainer.state().best, 0.4);
  EXPECT_FALSE(lab.trainer.has_stopped_early());
  end_epoch(1, 0.6);
  EXPECT_TRUE(lab.trainer.has_stopped_early());
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
  expect_error(of_outputs(kThreeSamples, labels, ", metrics: [mean_absolute_error]"),
               "the metric 'mean_absolute_error' is of data with `targets`, but this has `labels`");
  expect_error(of_outputs(kThreeSamples, labels, ", metrics: [acuracy]"), "did you mean 'accuracy'?");
  expect_error(of_outputs(kThreeSamples, labels, ", metrics: [accuracy, top_k]"),
               "the metric 'top_5' would always be 1: it looks for the right class in 5 of 3 outputs");
  EXPECT_EQ(error_of(of_outputs(kThreeSamples, labels, ", metrics: [{top_k: {k: 2}}, {top_k: {k: 1}}]")), "");
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

TEST(Metrics, StandInEveryFileOfARunUnderTheirNames) {
  const testing::TemporaryFolder folder("run");
  const Experiment experiment = testing::experiment_of_text(
      of_outputs(kThreeSamples, "labels: [0, 1, 2], validation: 1, test: {inputs: [[3, 2, 1]], labels: [1]}",
                 ", metrics: [{top_k: {k: 2}}, accuracy], early_stopping: {patience: 9, metric: top_2}")
          .yaml());
  const RunSummary summary =
      run_experiment(experiment, testing::plugins(), {.directory = folder.path("run"), .is_quiet = true});
  ASSERT_TRUE(summary.test);
  EXPECT_EQ(summary.test->find("top_2"), 1.0);
  EXPECT_EQ(summary.test->find("accuracy"), 0.0);
  const auto json = nlohmann::json::parse(testing::read_bytes(folder.path("run/summary.json")));
  for (const char* name : {"train_top_2", "validation_top_2", "test_top_2", "test_accuracy"})
    EXPECT_TRUE(json.contains(name)) << name;
  EXPECT_EQ(json["test_top_2"], 1.0);
  std::istringstream lines(testing::read_bytes(folder.path("run/metrics.jsonl")));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    EXPECT_LT(line.find("\"top_2\":"), line.find("\"accuracy\":")) << line << ": in the order of the list";
  EXPECT_EQ(count, 3);  // train, validation, test
  const Snapshot snapshot = read_checkpoint(summary.last_checkpoint);
  for (const char* name : {"epoch_top_2_sum_0", "train_top_2", "validation_top_2"})
    EXPECT_TRUE(snapshot.numbers.contains(name)) << name;
}

}  // namespace
}  // namespace backplane
