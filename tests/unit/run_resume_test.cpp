#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "checkpoint/store.h"
#include "config/node.h"
#include "data/sources.h"
#include "run/metrics.h"
#include "run/resume.h"
#include "run/run.h"
#include "run/verify_resume.h"
#include "support/model.h"

namespace backplane {
namespace {

namespace fs = std::filesystem;
using testing::experiment_of_text;
using testing::ExperimentText;
using testing::plugins;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::user_error_of;

constexpr const char* kLines =
    "{\"step\":2,\"split\":\"train_batch\"}\n"
    "{\"step\":3,\"split\":\"train_batch\"}\n"
    "{\"step\":3,\"split\":\"train\"}\n"
    "{\"step\":3,\"split\":\"validation\"}\n"
    "{\"step\":3,\"split\":\"test\"}\n"
    "{\"step\":4,\"split\":\"train_batch\"}\n";

std::string cut(const std::string& lines, std::int64_t step, bool owes_end_of_epoch) {
  const TemporaryFolder folder("metrics");
  std::ofstream(folder.path("metrics.jsonl")) << lines;
  cut_metrics_back(folder.path("metrics.jsonl"), step, owes_end_of_epoch);
  return read_bytes(folder.path("metrics.jsonl"));
}

std::string first_lines(std::size_t count) {
  std::string lines = kLines;
  std::size_t end = 0;
  while (count-- > 0) end = lines.find('\n', end) + 1;
  return lines.substr(0, end);
}

TEST(CutMetricsBack, LeavesWhatARunThatStandsThereHasWritten) {
  EXPECT_EQ(cut(kLines, 3, false), first_lines(4));  // the test split is scored when all is done
  EXPECT_EQ(cut(kLines, 3, true), first_lines(2));
  EXPECT_EQ(cut(kLines, 2, false), first_lines(1));
  EXPECT_EQ(cut(kLines, -1, false), "");
}

TEST(CutMetricsBack, TakesLinesThatWereCutOffAway) {
  EXPECT_EQ(cut(first_lines(1) + "{\"step\":3,\"spl", 3, false), first_lines(1));
  EXPECT_EQ(cut(first_lines(1) + "{\"step\":3,\"split\":\"train_batch\"}", 3, false), first_lines(1));
  EXPECT_EQ(cut(first_lines(1) + std::string(3, '\0') + "\n", 3, false), first_lines(1));
}

TEST(CutMetricsBack, KeepsAFileWithLinesThatMakeNoSense) {
  const TemporaryFolder folder("metrics");
  const std::string path = folder.path("metrics.jsonl"), aside = path + ".until-00000003";
  const std::string lines = "no line\n" + first_lines(4) + std::string(2 << 20, 'x') + "\n{\"step\":\"3\"}\n";
  const auto cut_in_place = [&](const std::string& text) {
    std::ofstream(path) << text;
    return cut_metrics_back(path, 3, false).value_or("");
  };
  EXPECT_EQ(cut_in_place(lines),
            path + ": 3 lines make no sense and will be missing; the file as it was is kept: " + aside);
  EXPECT_EQ(read_bytes(path), first_lines(4));
  EXPECT_EQ(read_bytes(aside), lines);
  EXPECT_NE(cut_in_place("\n").find("1 line makes no sense"), std::string::npos);
  EXPECT_EQ(read_bytes(aside), lines);
  EXPECT_EQ(read_bytes(aside + ".1"), "\n");
  EXPECT_EQ(cut_in_place(kLines), "");
  EXPECT_EQ(cut_in_place(first_lines(1) + "{\"step\":3,\"spl"), "");  // a kill's
}

TEST(CutMetricsBack, MakesNoFile) {
  const TemporaryFolder folder("metrics");
  cut_metrics_back(folder.path("metrics.jsonl"), 3, false);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

/// A run of ten steps with a checkpoint every two, in a directory where chosen commits cannot be made.
class RunWithFailingCommits : public ::testing::Test {
 protected:
  RunWithFailingCommits() {
    fs::create_directories(folder_.path("run/checkpoints"));
    std::ofstream(folder_.path("run/run.lock"));
  }
  /// Where that checkpoint would be stands a folder that cannot be taken away.
  void block(int step) { fs::create_directories(place_of(step) + "/inside"); }
  void unblock(int step) { fs::remove_all(place_of(step)); }
  std::string place_of(int step) const {
    return folder_.path("run/checkpoints/step-0000000" + std::to_string(step) + ".h5");
  }
  RunSummary run(std::int64_t stop_after = 0) {
    const ExperimentText text{.data = "synthetic: {random: {samples: 12, inputs: 3, classes: 2, test: 4}}",
                              .layers = "{dense: {units: 2}}",
                              .loss = "softmax_cross_entropy",
                              .train = "steps: 8, batch_size: 4, optimizer: adam"};
    return run_experiment(experiment_of_text(text.yaml() + "checkpoint: {every: 2}\n"), plugins(),
                          {.threads = 1,
                           .directory = folder_.path("run"),
                           .resume = Resume::strict,
                           .stop_after = stop_after,
                           .is_quiet = true});
  }
  std::vector<std::int64_t> committed() const {
    std::vector<std::int64_t> steps;
    for (const CommittedCheckpoint& checkpoint : read_manifest(folder_.path("run/checkpoints")).checkpoints)
      steps.push_back(checkpoint.step);
    return steps;
  }

  TemporaryFolder folder_{"commits"};
};

TEST_F(RunWithFailingCommits, GoesOnAndCommitsTheNext) {
  run(2);
  block(4);
  EXPECT_EQ(run().code, ExitCode::ok);
  EXPECT_EQ(committed(), (std::vector<std::int64_t>{2, 6, 8}));
}

TEST_F(RunWithFailingCommits, SaysSoAtTheEndWhereTheLastFailedAndCanBeResumed) {
  run(4);
  block(6);
  block(8);
  const std::string error = user_error_of([&] { run(); });
  EXPECT_TRUE(error.starts_with("74 ") &&
              error.find("the last checkpoint, of step 8, could not be committed") != std::string::npos &&
              error.find("step-00000004.h5") != std::string::npos)
      << error;
  EXPECT_EQ(committed(), (std::vector<std::int64_t>{0, 2, 4}));
  unblock(6);
  unblock(8);
  const RunSummary resumed = run();
  EXPECT_FALSE(resumed.was_done);
  EXPECT_EQ(resumed.steps, 8);
  EXPECT_EQ(committed(), (std::vector<std::int64_t>{4, 6, 8}));
  EXPECT_TRUE(run().was_done);
}

TEST_F(RunWithFailingCommits, EndsBeforeTrainingWhereTheFirstFails) {
  block(0);
  const std::string error = user_error_of([&] { run(); });
  EXPECT_TRUE(error.starts_with("74 ")) << error;
  EXPECT_FALSE(fs::exists(folder_.path("run/summary.json")));
  EXPECT_EQ(read_bytes(folder_.path("run/metrics.jsonl")), "");
}

/// Counts how often a file is opened. Closings are heard too: equal events one after the other are joined.
class OpenCounter {
 public:
  explicit OpenCounter(const std::string& path) : queue_(inotify_init1(IN_NONBLOCK)) {
    EXPECT_GE(inotify_add_watch(queue_, path.c_str(), IN_OPEN | IN_CLOSE), 0);
  }
  ~OpenCounter() { close(queue_); }
  OpenCounter(const OpenCounter&) = delete;
  OpenCounter& operator=(const OpenCounter&) = delete;
  /// Since it was asked last.
  std::int64_t opened() const {
    std::int64_t count = 0;
    for (inotify_event event; read(queue_, &event, sizeof event) > 0;) count += (event.mask & IN_OPEN) != 0;
    return count;
  }

 private:
  int queue_;
};

TEST(VerifyResume, FindsTheSameBitsAndLoadsTheDataOnce) {
  const TemporaryFolder folder("verify");
  std::ofstream(folder.path("data.csv")) << "a,b,label\n0.5,1,0\n1,0.25,1\n0,1,0\n0.75,0,1\n";
  const ExperimentText text{.data = "csv: {train: " + folder.path("data.csv") + ", labels: label}",
                            .layers = "{dense: {units: 2}}",
                            .loss = "softmax_cross_entropy",
                            .train = "steps: 6, batch_size: 2, optimizer: adam"};
  const Experiment experiment = experiment_of_text(text.yaml());
  const OpenCounter counter(folder.path("data.csv"));
  load_data(experiment.resolved.at("data"), experiment.seed);
  const std::int64_t by_loading = counter.opened();
  ASSERT_GT(by_loading, 0);
  const ResumeReport report = verify_resume(experiment, plugins(), 6, 2);
  EXPECT_EQ(report.code, ExitCode::ok);
  ASSERT_EQ(report.trials.size(), 4u);  // after steps 1, 2, 3 and 5: an epoch has two
  for (const ResumeTrial& trial : report.trials) EXPECT_TRUE(trial.differences.empty());
  // Each run, and there are two for each trial, hashes the file for its environment.
  EXPECT_EQ(counter.opened(), by_loading + 1 + 2 * std::ssize(report.trials));
}

/// What differs from a checkpoint of the same experiment whose configuration has this loss.
std::vector<std::string> differences_from_one_with_loss(const char* loss) {
  const testing::Lab lab(ExperimentText{.data = "inline: {inputs: [[1]], targets: [[2]]}",
                                        .layers = "{dense: {units: 1}}",
                                        .train = "steps: 1, optimizer: sgd"});
  config::Node then = lab.experiment.resolved;
  *then.find("network")->find("loss") = config::Node::plain(loss);
  const Snapshot checkpoint{.config = config::to_yaml(then), .environment = "{}"};
  return compare(checkpoint, lab.experiment, lab.model.network, plugins(), nlohmann::ordered_json::object()).config;
}

TEST(Resume, TakesTheNameOfALossForALossWithoutOptions) {
  EXPECT_EQ(differences_from_one_with_loss("squared_error"), std::vector<std::string>());
  EXPECT_FALSE(differences_from_one_with_loss("mean_squared_error").empty());
}

}  // namespace
}  // namespace backplane
