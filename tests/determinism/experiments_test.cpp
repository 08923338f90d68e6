// Every file of experiments/: the same weights and the same scores on any number of threads. A new experiment is
// enrolled by being there.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string>
#include <vector>

#include "config/parse.h"
#include "support/model.h"

namespace backplane {
namespace {

std::vector<std::string> all_experiments() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(BP_SOURCE_DIR "/experiments"))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

/// The experiment on few samples, for a few steps.
Experiment shortened(const std::string& file) {
  const std::string format = config::parse_file(file).at("data").map.front().first;
  std::vector<std::string> overrides{"train.steps=3", "data." + format + ".limit=150"};
  if (config::parse_file(file).at("data").map.front().second.find("validation") != nullptr)
    overrides.push_back("data." + format + ".validation=20");
  if (format == "text") overrides.push_back("data.text.files=" BP_SOURCE_DIR "/README.md");  // is always there
  return read_experiment({.file = file, .overrides = overrides, .override_words = overrides, .plugins = {}},
                         testing::plugins());
}

struct Outcome {
  std::string digest;
  double loss, accuracy;
  bool operator==(const Outcome&) const = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << outcome.digest << " loss " << outcome.loss;
}

Outcome train(const Experiment& experiment, int threads) {
  Model model = build_model(experiment, testing::plugins());
  Arena arena(threads);
  Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
  while (!trainer.is_finished()) trainer.step();
  const Score score = trainer.evaluate(model.data.train);
  return {model.network.weights_digest(), score.loss, score.accuracy.value_or(0.0)};
}

class Experiments : public ::testing::TestWithParam<std::string> {};

TEST_P(Experiments, HaveTheSameBitsOnAnyNumberOfThreads) {
  const Experiment experiment = shortened(GetParam());
  const Outcome alone = train(experiment, 1);
  for (const int threads : {2, 3, 8}) EXPECT_EQ(train(experiment, threads), alone) << threads << " threads";
}

INSTANTIATE_TEST_SUITE_P(Every, Experiments, ::testing::ValuesIn(all_experiments()), [](const auto& info) {
  std::string name = std::filesystem::path(info.param).parent_path().filename().string() + "_" +
                     std::filesystem::path(info.param).stem().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace backplane
