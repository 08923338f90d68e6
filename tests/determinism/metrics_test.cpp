// Every metric of the table has the same bits on any number of threads, and a run that goes on from a checkpoint in the
// middle of an epoch measures what one that was left alone does.

#include "metrics/table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "checkpoint/store.h"
#include "run/restore.h"
#include "run/snapshot.h"
#include "support/model.h"

namespace backplane {
namespace {

using testing::Lab;
using testing::TemporaryFolder;

/// Its options as they are by default. Of vectors, each valid step has one.
std::string yaml(const MetricKind& kind) {
  const auto metric = kind.make(config::validate(config::Node::empty_map(), kind.options));
  const bool of_labels = metric->targets() == TargetKind::labels;
  return "name: metrics\nseed: 3\ndata: {synthetic: {random: {samples: 70, validation: 20, inputs: [6, 4], lengths: "
         "true, " +
         std::string(of_labels ? "classes: 7}}}" : "targets: 42}}}") + "\nnetwork: {layers: [" +
         (of_labels ? "{rnn: {units: 5, output: last}}, {dense: {units: 7}}" : "{dense: {units: 7, flatten: false}}") +
         "], loss: " + (of_labels ? "softmax_cross_entropy" : "mean_squared_error") +
         "}\ntrain: {epochs: 3, batch_size: 16, slice: 3, optimizer: adam, metrics: [" + kind.name +
         "], early_stopping: {patience: 9, metric: " + metric->name() + "}}\n";
}

std::string text_of(const std::string& of_what, const Metrics& metrics) {
  std::string text = fmt::format("{}: loss {:a}", of_what, metrics.loss);
  for (const auto& [name, value] : metrics.values) text += fmt::format(" {} {:a}", name, value);
  return text;
}

/// A step, and what is measured until the next.
void step(Lab& lab, std::vector<std::string>& measured) {
  measured.push_back(text_of("batch", lab.trainer.step()));
  measured.push_back(text_of("epoch so far", lab.trainer.epoch_metrics()));
  if (!lab.trainer.at_end_of_epoch()) return;
  lab.trainer.end_epoch(lab.trainer.evaluate(*lab.model.data.validation));
  const TrainState& state = lab.trainer.state();
  measured.push_back(text_of("train", state.train_metrics.value()));
  measured.push_back(text_of("validation", state.validation_metrics.value()));
  measured.push_back(fmt::format("best {:a}", state.best.value()));
}

class EveryMetric : public ::testing::TestWithParam<std::string> {
 protected:
  const std::string text_ = yaml(*std::ranges::find(metrics(), GetParam(), &MetricKind::name));
};

TEST_P(EveryMetric, HasTheSameBitsOnAnyNumberOfThreads) {
  std::vector<std::string> alone;
  for (int threads = 1; threads <= 8; ++threads) {
    Lab lab(text_, threads);
    std::vector<std::string> measured;
    while (!lab.trainer.is_finished()) step(lab, measured);
    if (threads == 1) alone = measured;
    EXPECT_EQ(measured, alone) << threads << " threads";
  }
  EXPECT_GT(alone.size(), 20u);
}

TEST_P(EveryMetric, GoesOnFromAnyStep) {
  Lab alone(text_, 2);
  std::vector<std::string> wanted;
  while (!alone.trainer.is_finished()) step(alone, wanted);
  const std::int64_t end = alone.trainer.state().step;
  Lab interrupted(text_);
  std::vector<std::string> before;
  for (std::int64_t k = 0; k < end; ++k) {
    const TemporaryFolder folder("metrics");
    CheckpointStore(folder.path(), {.keep = 1})
        .commit(take_snapshot(interrupted.experiment, interrupted.model.network, interrupted.model.data,
                              interrupted.trainer, "{}"));
    Lab resumed(text_, 3);
    restore(read_newest_checkpoint(folder.path()).snapshot, resumed.model.network, resumed.trainer);
    std::vector<std::string> measured = before;
    while (!resumed.trainer.is_finished()) step(resumed, measured);
    ASSERT_EQ(measured, wanted) << "resumed from step " << k;
    step(interrupted, before);
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const MetricKind& kind : metrics()) all.push_back(kind.name);
  return all;
}
INSTANTIATE_TEST_SUITE_P(Table, EveryMetric, ::testing::ValuesIn(names()), [](const auto& test) { return test.param; });

/// What one run measured is not what another goes on with.
TEST(Metrics, ThatWereNotMeasuredAreMissedOnGoingOn) {
  const auto error_of_going_on = [](const std::string& from, const std::string& into) {
    const auto text = [](const std::string& metrics) {
      return "name: metrics\ndata: {synthetic: {random: {samples: 32, inputs: 4, classes: 7}}}\nnetwork: {layers: "
             "[{dense: "
             "{units: 7}}], loss: softmax_cross_entropy}\ntrain: {steps: 2, optimizer: adam" +
             metrics + "}\n";
    };
    Lab lab(text(from)), other(text(into));
    const Snapshot snapshot = take_snapshot(lab.experiment, lab.model.network, lab.model.data, lab.trainer, "{}");
    return testing::user_error_of([&] { restore(snapshot, other.model.network, other.trainer); });
  };
  EXPECT_EQ(error_of_going_on("", ", metrics: [accuracy]"), "");
  EXPECT_EQ(error_of_going_on("", ", metrics: []"), "");
  const auto expect_missing = [&](const std::string& from, const std::string& into, const char* what) {
    const std::string error = error_of_going_on(from, into);
    EXPECT_TRUE(error.starts_with("65 ") &&
                error.find(std::string("the checkpoint has no ") + what) != std::string::npos)
        << error;
  };
  expect_missing(", metrics: []", "", "/state/epoch_correct");
  expect_missing("", ", metrics: [accuracy, top_k]", "/state/epoch_top_5_sum_0");
}

}  // namespace
}  // namespace backplane
