// Every file of experiments/ and benchmarks/networks/: the same weights and the same scores on any number of threads,
// in whatever order and after whatever delays tasks run. A new one is enrolled by being there.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/parse.h"
#include "support/model.h"
#include "support/paths.h"

namespace backplane {
namespace {

std::vector<std::string> all_experiments() {
  std::vector<std::string> files;
  for (const char* folder : {"/experiments", "/benchmarks/networks"})
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::string(testing::kSourceFolder) + folder))
      if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

/// The experiment on few samples, for a few steps.
Experiment shortened(const std::string& file) {
  const config::Node document = config::parse_file(file);
  auto [format, options] = document.at("data").map.front();
  if (format == "synthetic") {
    format += "." + options.map.front().first;
    options = config::Node(options.map.front().second);
  }
  std::vector<std::string> overrides{"train.steps=3", "data." + format + ".limit=150"};
  if (options.find("validation") != nullptr) overrides.push_back("data." + format + ".validation=20");
  if (format == "text")
    overrides.push_back("data.text.files=" + std::string(testing::kSourceFolder) + "/README.md");  // is always there
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

Outcome train(const Experiment& experiment, int threads, std::optional<std::uint64_t> disturbance = {}) {
  Model model = build_model(experiment, testing::plugins());
  Arena arena(threads);
  if (disturbance) arena.disturb(*disturbance);
  Trainer trainer(model.network, model.data, model.loss, arena, experiment.train, experiment.seed);
  while (!trainer.is_finished()) trainer.step();
  const Metrics metrics = trainer.evaluate(model.data.train);
  return {model.network.weights_digest(), metrics.loss, metrics.find("accuracy").value_or(0.0)};
}

class Experiments : public ::testing::TestWithParam<std::string> {};

TEST_P(Experiments, HaveTheSameBitsOnAnyNumberOfThreads) {
  const Experiment experiment = shortened(GetParam());
  const Outcome alone = train(experiment, 1);
  for (const int threads : {2, 3, 8}) EXPECT_EQ(train(experiment, threads), alone) << threads << " threads";
}

TEST_P(Experiments, HaveTheSameBitsHoweverTasksAreScheduled) {
  const Experiment experiment = shortened(GetParam());
  const Outcome alone = train(experiment, 1);
  for (const std::uint64_t seed : {1u, 2u, 3u}) EXPECT_EQ(train(experiment, 16, seed), alone) << "order " << seed;
}

INSTANTIATE_TEST_SUITE_P(Every, Experiments, ::testing::ValuesIn(all_experiments()), [](const auto& test) {
  std::string name = std::filesystem::path(test.param).parent_path().filename().string() + "_" +
                     std::filesystem::path(test.param).stem().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace backplane
