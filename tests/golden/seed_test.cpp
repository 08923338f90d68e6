#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/reader.h"
#include "run/run.h"
#include "support/model.h"
#include "support/paths.h"

// The worked example of the text that the project grew from, number by number, out of the files that a run writes.

namespace backplane {
namespace {

using nlohmann::json;
using Numbers = std::vector<double>;

class Seed : public ::testing::Test {
 protected:
  /// The example is run once, as `backplane run` does it; all tests read what it wrote.
  static void SetUpTestSuite() {
    folder_ = std::make_unique<testing::TemporaryFolder>("seed");
    const Experiment experiment =
        read_experiment({.file = std::string(testing::kSourceFolder) + "/experiments/seed/two_layer.yaml",
                         .overrides = {},
                         .override_words = {},
                         .plugins = {}},
                        testing::plugins());
    run_experiment(experiment, testing::plugins(), {.threads = 1, .directory = folder_->path("run")});
    before_ = std::make_unique<Snapshot>(read_checkpoint(folder_->path("run/checkpoints/step-00000000.h5")));
    after_ = std::make_unique<Snapshot>(read_checkpoint(folder_->path("run/checkpoints/step-00000001.h5")));
    numbers_ =
        json::parse(testing::read_bytes(std::string(testing::kSourceFolder) + "/tests/golden/seed_example.json"));
  }
  static void TearDownTestSuite() {
    folder_.reset();
    before_.reset();
    after_.reset();
  }

  static Numbers tensor(const Snapshot& snapshot, std::size_t layer, const std::string& path) {
    const StoredTensor& stored = snapshot.layers.at(layer).tensors.at(path);
    EXPECT_EQ(stored.dtype, DType::float64) << path;
    return testing::widened(stored.data.data(), element_count(stored.shape), stored.dtype);
  }

  /// 1e-12: the numbers of the text are of size 1e-4 to 1 and were computed in float64, so that some 1e-16 would do;
  /// a wrong formula is off by far more.
  static void expect_equal(const Numbers& got, const json& want, const std::string& what) {
    Numbers numbers;
    for (const json& item : want.flatten()) numbers.push_back(item.get<double>());
    ASSERT_EQ(got.size(), numbers.size()) << what;
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], numbers[i], 1e-12) << what << ", number " << i;
  }

  static std::unique_ptr<testing::TemporaryFolder> folder_;
  static std::unique_ptr<Snapshot> before_, after_;
  static json numbers_;
};
std::unique_ptr<testing::TemporaryFolder> Seed::folder_;
std::unique_ptr<Snapshot> Seed::before_, Seed::after_;
json Seed::numbers_;

TEST_F(Seed, ShowsEveryNumberOfTheTextBeforeTheStep) {
  ASSERT_EQ(before_->step, 0);
  ASSERT_EQ(before_->layers.size(), 2u);
  EXPECT_EQ(before_->layers[0].name, "hidden");
  EXPECT_EQ(before_->layers[1].name, "output");
  expect_equal(testing::widened(before_->input.data.data(), 2, DType::float64), numbers_["input"], "input");
  expect_equal(testing::widened(before_->target.data.data(), 2, DType::float64), numbers_["target"], "target");
  const std::pair<const char*, const char*> names[] = {
      {"W", "weights/W"},       {"b", "weights/b"},      {"z", "z"},
      {"a", "activation"},      {"delta", "delta"},      {"dC_da", "activation_gradient"},
      {"dC_dW", "gradients/W"}, {"dC_db", "gradients/b"}};
  std::size_t compared = 0;
  for (std::size_t layer : {0u, 1u})
    for (const auto& [text, path] : names) {
      const json& section = numbers_[before_->layers[layer].name];
      if (!section.contains(text)) continue;  // the text has no ∂C/∂a of the output layer
      expect_equal(tensor(*before_, layer, path), section[text], before_->layers[layer].name + "/" + path);
      compared += 1;
    }
  EXPECT_EQ(compared, numbers_["hidden"].size() + numbers_["output"].size());  // nothing of the text is left out
}

TEST_F(Seed, HasTheLossOfTheText) {
  ASSERT_EQ(before_->losses.size(), 1u);
  EXPECT_NEAR(before_->losses[0], numbers_["C"].get<double>(), 1e-12);
  // C is the sum over the outputs, of which the text names each.
  EXPECT_NEAR(before_->losses[0], numbers_["C_per_output"][0].get<double>() + numbers_["C_per_output"][1].get<double>(),
              1e-12);
  EXPECT_NEAR(before_->numbers.at("batch_loss"), numbers_["C"].get<double>(), 1e-12);
}

TEST_F(Seed, MakesTheStepOfTheText) {
  ASSERT_EQ(after_->step, 1);
  // The text prints w5 with eight decimals: 0.35891648, so half a unit of the last is 5e-9.
  EXPECT_NEAR(tensor(*after_, 1, "weights/W")[0], 0.35891648, 5e-9);
  // All of W −= 0.5 ∂C/∂W, from the numbers of the text.
  for (std::size_t layer : {0u, 1u}) {
    const json& section = numbers_[before_->layers[layer].name];
    const Numbers W = tensor(*after_, layer, "weights/W");
    for (std::size_t i = 0; i < 4; ++i)
      EXPECT_NEAR(W[i], section["W"][i / 2][i % 2].get<double>() - 0.5 * section["dC_dW"][i / 2][i % 2].get<double>(),
                  1e-12);
  }
}

TEST_F(Seed, LeavesBiasesAsTheyAre) {
  for (std::size_t layer : {0u, 1u})
    EXPECT_EQ(tensor(*after_, layer, "weights/b"), tensor(*before_, layer, "weights/b"));
}

}  // namespace
}  // namespace backplane
