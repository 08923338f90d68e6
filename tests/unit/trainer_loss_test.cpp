#include "trainer/loss.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <tuple>
#include <vector>

#include "support/model.h"

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;
using testing::user_error_of;
using Numbers = std::vector<double>;

/// A model whose last layer has `outputs` units, so that its loss can be asked directly.
ExperimentText model_with(const std::string& loss, int outputs, const std::string& activation = "identity",
                          const std::string& targets = "") {
  std::string zeros = "0";
  for (int i = 1; i < outputs; ++i) zeros += ", 0";
  return {.data = "inline: {inputs: [[1], [2]], " +
                  (targets.empty() ? "targets: [[" + zeros + "], [" + zeros + "]]" : targets) + "}",
          .layers = "{dense: {name: last, units: " + std::to_string(outputs) + ", activation: " + activation + "}}",
          .loss = loss,
          .train = "steps: 1, optimizer: sgd"};
}

double sigmoid(double z) {
  return 1.0 / (1.0 + std::exp(-z));
}

/// What an activation that goes with the loss makes of z.
Numbers activated(const std::string& loss, Numbers z) {
  if (loss == "binary_cross_entropy") std::ranges::transform(z, z.begin(), sigmoid);
  return z;
}

double evaluate(const Loss& loss, const Numbers& z, const Numbers& target) {
  double value = 0;
  const Numbers a = activated(loss.name(), z);
  loss.evaluate<double>({z.data(), a.data(), target.data(), nullptr, 1}, &value);
  return value;
}
Numbers gradient(const Loss& loss, const Numbers& z, const Numbers& target, double scale = 1.0) {
  Numbers out(z.size());
  const Numbers a = activated(loss.name(), z);
  double value = 0;
  loss.evaluate<double>({z.data(), a.data(), target.data(), nullptr, 1}, &value, scale, out.data());
  return out;
}
std::string activation_of(const std::string& loss) {
  return loss == "binary_cross_entropy" ? "sigmoid" : "identity";
}

/// A loss by hand: outputs (z for the last two), targets, loss, gradient with respect to a (z for the last two).
struct ByHand {
  const char* loss;
  Numbers z, target;
  double value;
  Numbers gradient;
};
class LossByHand : public ::testing::TestWithParam<ByHand> {};
const double e = std::exp(1.0);
INSTANTIATE_TEST_SUITE_P(
    Examples, LossByHand,
    ::testing::Values(
        ByHand{"squared_error", {1, -2, 0.5}, {0, 1, 0.5}, 5.0, {1, -3, 0}},
        ByHand{"squared_error", {3}, {1}, 2.0, {2}},
        ByHand{"mean_squared_error", {1, -2, 0.5, 0}, {0, 1, 0.5, 2}, 14.0 / 4, {0.5, -1.5, 0, -1}},
        ByHand{"mean_squared_error", {3}, {1}, 4.0, {4}},
        ByHand{"softmax_cross_entropy", {0, 0}, {1, 0}, std::log(2.0), {-0.5, 0.5}},
        ByHand{"softmax_cross_entropy",
               {1, 0, 1},
               {0, 1, 0},
               std::log(2 * e + 1),
               {e / (2 * e + 1), 1 / (2 * e + 1) - 1, e / (2 * e + 1)}},
        ByHand{"softmax_cross_entropy",
               {1, 0},
               {0.25, 0.75},
               std::log(e + 1) - 0.25,
               {e / (e + 1) - 0.25, 1 / (e + 1) - 0.75}},
        // Targets that sum to 2: −Σ q ln p has the gradient 2 p − q.
        ByHand{
            "softmax_cross_entropy", {1, 0}, {1, 1}, 2 * std::log(e + 1) - 1, {2 * e / (e + 1) - 1, 2 / (e + 1) - 1}},
        ByHand{"binary_cross_entropy", {0}, {1}, std::log(2.0), {-0.5}},
        ByHand{"binary_cross_entropy",
               {0, 1},
               {0, 1},
               (std::log(2.0) + std::log(1 + 1 / e)) / 2,
               {0.25, (1 / (1 + 1 / e) - 1) / 2}},
        ByHand{"binary_cross_entropy", {-1}, {0.25}, std::log(1 + e) - 0.75, {1 / (1 + e) - 0.25}}));

TEST_P(LossByHand, HasTheValueAndGradient) {
  const ByHand& c = GetParam();
  const Lab lab(model_with(c.loss, static_cast<int>(c.z.size()), activation_of(c.loss)));
  // A handful of roundings in float64 separates two ways to compute these numbers of size 1 to 10.
  EXPECT_NEAR(evaluate(lab.model.loss, c.z, c.target), c.value, 1e-14);
  const Numbers got = gradient(lab.model.loss, c.z, c.target), scaled = gradient(lab.model.loss, c.z, c.target, 0.25);
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], c.gradient[i], 1e-14) << "output " << i;
    EXPECT_NEAR(scaled[i], c.gradient[i] / 4, 1e-14) << "output " << i << ", scale 1/4";
  }
}

class LossNamed : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, LossNamed,
                         ::testing::Values("squared_error", "mean_squared_error", "softmax_cross_entropy",
                                           "binary_cross_entropy"),
                         [](const auto& test) { return test.param; });

TEST_P(LossNamed, AgreesWithCentralDifferences) {
  const std::string name = GetParam();
  const Lab lab(model_with(name, 4, activation_of(name)));
  const Numbers z{0.3, -1.2, 2.1, 0.7}, target{0.1, 0.2, 0.6, 0.1};
  const Numbers got = gradient(lab.model.loss, z, target);
  // The losses here see z or, without activation, a = z. A central difference of step h is off by h²/6 |f‴| ≤ 2e-11
  // and by the rounding of f, 4e-16 / h = 4e-11; 1e-9 leaves a factor of ten.
  const double h = 1e-5;
  for (std::size_t i = 0; i < z.size(); ++i) {
    Numbers up = z, down = z;
    up[i] += h, down[i] -= h;
    const double slope = (evaluate(lab.model.loss, up, target) - evaluate(lab.model.loss, down, target)) / (2 * h);
    EXPECT_NEAR(got[i], slope, 1e-9) << "output " << i;
  }
}

TEST_P(LossNamed, StaysFiniteForExtremeLogits) {
  const std::string name = GetParam();
  const Lab lab(model_with(name, 3, activation_of(name)));
  for (const Numbers& z :
       {Numbers{1000, -1000, 0}, Numbers{-1000, -1000, -1000}, Numbers{1000, 1000, 1000}, Numbers{-1000, 1000, -1000}})
    for (const Numbers& target : {Numbers{1, 0, 0}, Numbers{0, 1, 0}, Numbers{0, 0, 1}}) {
      EXPECT_TRUE(std::isfinite(evaluate(lab.model.loss, z, target)));
      for (const double g : gradient(lab.model.loss, z, target)) EXPECT_TRUE(std::isfinite(g));
    }
}

TEST(Loss, OfExtremeLogitsIsExact) {
  const Lab softmax(model_with("softmax_cross_entropy", 2)), binary(model_with("binary_cross_entropy", 1, "sigmoid"));
  EXPECT_EQ(evaluate(softmax.model.loss, {1000, -1000}, {1, 0}), 0.0);
  EXPECT_EQ(evaluate(softmax.model.loss, {1000, -1000}, {0, 1}), 2000.0);
  EXPECT_EQ(gradient(softmax.model.loss, {1000, -1000}, {0, 1}), (Numbers{1, -1}));
  EXPECT_EQ(evaluate(binary.model.loss, {1000}, {1}), 0.0);
  EXPECT_EQ(evaluate(binary.model.loss, {1000}, {0}), 1000.0);
  EXPECT_EQ(evaluate(binary.model.loss, {-1000}, {1}), 1000.0);
}

TEST(Loss, InFloat32StaysFiniteForExtremeLogits) {
  const Lab lab(model_with("softmax_cross_entropy", 2));
  const float z[] = {1000, -1000}, target[] = {0, 1};
  float out[2];
  double loss = 0;
  lab.model.loss.evaluate<float>({z, z, target, nullptr, 1}, &loss, 1.0, out);
  EXPECT_EQ(loss, 2000.0);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -1.0f);
}

TEST(Loss, OfSeveralRowsIsTheLossOfEach) {
  const Lab lab(model_with("squared_error", 2));
  const Numbers a{1, 0, 3, 4, 0, -2}, target(6, 0.0);
  Numbers losses(3), out(6);
  lab.model.loss.evaluate<double>({a.data(), a.data(), target.data(), nullptr, 3}, losses.data(), 0.5, out.data());
  EXPECT_EQ(losses, (Numbers{0.5, 12.5, 2}));
  EXPECT_EQ(out, (Numbers{0.5, 0, 1.5, 2, 0, -1}));
}

TEST(Loss, OfOneOutputTakesTheLabelAsTheNumber) {
  Lab lab(model_with("binary_cross_entropy", 1, "sigmoid", "labels: [0, 1]"));
  lab.trainer.evaluate(lab.model.data.train);
  EXPECT_EQ(testing::widened(lab.trainer.executor().target(), 2, DType::float64), (Numbers{0, 1}));
}

TEST(Loss, OfSeveralOutputsTakesLabelsOneHot) {
  Lab lab(model_with("squared_error", 3, "identity", "labels: [2, 0]"));
  lab.trainer.evaluate(lab.model.data.train);
  EXPECT_EQ(testing::widened(lab.trainer.executor().target(), 6, DType::float64), (Numbers{0, 0, 1, 1, 0, 0}));
}

TEST(Loss, SaysWhatDoesNotGoTogether) {
  const std::pair<ExperimentText, const char*> wrong[] = {
      {model_with("softmax_cross_entropy", 2, "softmax"),
       "has activation 'softmax', but softmax_cross_entropy takes its z as it is"},
      {model_with("binary_cross_entropy", 2),
       "has activation 'identity', but binary_cross_entropy needs probabilities"},
      {model_with("softmax_cross_entropy", 1, "identity", "labels: [0, 1]"),
       "has one output, over which softmax is always 1"},
      {model_with("softmax_cross_entropy", 2, "identity", "labels: [0, 2]"),
       "has 2 outputs, but the data has 3 classes"},
      {model_with("binary_cross_entropy", 1, "sigmoid", "labels: [0, 2]"), "has 1 output, but the data has 3 classes"},
      {model_with("squared_error", 2, "identity", "targets: [[1, 2, 3], [4, 5, 6]]"),
       "has 2 outputs, but each target has 3 numbers"},
      {model_with("squared_error", 2, "identity", "targets: [1, 2]"), "has 2 outputs, but each target has 1 number"},
      {model_with("softmax_cross_entropy", 4, "identity", "targets: [[[1, 0], [0, 1]], [[1, 0], [0, 1]]]"),
       "gives [4] a sample, but each target has shape [2, 2]"},
      {model_with("softmax_cross_entropy", 2, "identity", "labels: [[0, 1, 0], [1, 1, 0]]"),
       "gives [2] a sample, but each of the 3 steps of a sample has a label"}};
  for (const auto& [text, what] : wrong) {
    const std::string error = user_error_of([&] { Lab lab(text); });
    EXPECT_TRUE(error.starts_with("78 ") &&
                error.find(std::string("the last layer 'last' ") + what) != std::string::npos)
        << error;
  }
}

/// Eight samples with target 0.5, one of which, in the test split or not, has another.
ExperimentText with_target(const std::string& loss, double value, bool in_test) {
  ExperimentText text = model_with(loss, 2, activation_of(loss));
  const auto samples = [](const std::string& last) {
    std::string inputs, targets;
    for (int n = 0; n < 8; ++n) inputs += "[1], ", targets += n == 5 ? last : "[0.5, 0.5], ";
    return "inputs: [" + inputs + "], targets: [" + targets + "]";
  };
  const std::string good = "[0.5, 0.5], ", other = fmt::format("[0.5, {}], ", value);
  text.data = "inline: {validation: 6, " + samples(in_test ? good : other) + ", test: {" +
              samples(in_test ? other : good) + "}}";
  return text;
}

TEST(Loss, RefusesTargetsBeyondItsDomainInEverySplit) {
  struct Domain {
    const char* loss;
    Numbers good, bad;
  };
  const Domain domains[] = {
      {"squared_error", {-1, 2, 255, 1e300}, {}},
      {"mean_squared_error", {-1, 2, 255, 1e300}, {}},
      {"softmax_cross_entropy", {0, 1, 2, 255, 0.5}, {-1, -1e-9}},
      {"binary_cross_entropy", {0, 1, 0.5, 1e-9}, {-1, -1e-9, 1.0000001, 2, 255}},
  };
  for (const auto& [loss, good, bad] : domains)
    for (const bool in_test : {false, true}) {
      for (const double value : good)
        EXPECT_EQ(user_error_of([&] { Lab lab(with_target(loss, value, in_test)); }), "") << loss << " " << value;
      for (const double value : bad)
        for (const char* seed : {"0", "1", "2"}) {  // which decides whether it is in the validation split
          ExperimentText text = with_target(loss, value, in_test);
          text.seed = seed;
          const std::string error = user_error_of([&] { Lab lab(text); });
          EXPECT_TRUE(error.starts_with("78 ") &&
                      error.find(fmt::format("split has the target {} at element 1", value)) != std::string::npos)
              << error;
          EXPECT_NE(error.find("sample 5 of the "), std::string::npos) << error;
          EXPECT_EQ(error.find("of the test split") != std::string::npos, in_test) << error;
        }
    }
}

TEST(Loss, RefusesTargetsThatItsTypeCannotHold) {
  for (const double value : {1e300, -1e39}) {
    ExperimentText text = with_target("squared_error", value, true);
    EXPECT_EQ(user_error_of([&] { Lab lab(text); }), "");
    text.dtype = "float32";
    EXPECT_NE(user_error_of([&] { Lab lab(text); }).find("which float32 cannot hold"), std::string::npos);
  }
}

TEST(Loss, DoubtsTargetsThatDoNotSumToOne) {
  EXPECT_TRUE(Lab(with_target("softmax_cross_entropy", 0.5, false)).model.warnings.empty());
  EXPECT_TRUE(Lab(with_target("softmax_cross_entropy", 0.501, false)).model.warnings.empty());
  const std::vector<std::string> doubts = Lab(with_target("softmax_cross_entropy", 255, true)).model.warnings;
  ASSERT_EQ(doubts.size(), 1u);
  EXPECT_NE(
      doubts[0].find("1 of the 8 targets of the test split does not sum to 1, as softmax_cross_entropy wants them "
                     "to: that of sample 5 sums to 255.5 "),
      std::string::npos)
      << doubts[0];
  EXPECT_TRUE(Lab(with_target("squared_error", 255, true)).model.warnings.empty());
}

/// What beyond a sample's length stands for nothing changes nothing, and a sample of full length is as one without.
TEST(Loss, OfStepsIgnoresWhatIsBeyondTheLength) {
  const auto lab_of = [](const std::string& data, const std::string& loss, const std::string& activation) {
    return std::make_unique<Lab>(
        ExperimentText{.data = "inline: {inputs: [[[1], [2], [3]], [[4], [5], [6]]], " + data + "}",
                       .layers = "{dense: {units: 2, flatten: false, activation: " + activation + "}}",
                       .loss = loss,
                       .train = "steps: 1, optimizer: sgd, batch_size: 2"});
  };
  for (const std::string loss :
       {"squared_error", "mean_squared_error", "softmax_cross_entropy", "binary_cross_entropy"}) {
    const auto loss_of = [&](const std::string& data) {
      const auto lab = lab_of(data, loss, activation_of(loss));
      return lab->trainer.evaluate(lab->model.data.train).loss;
    };
    const std::string first = "[[1, 0], [0, 1], [1, 0]]";
    const double whole = loss_of("targets: [" + first + ", [[1, 0], [1, 0], [0, 1]]]");
    EXPECT_EQ(loss_of("targets: [" + first + ", [[1, 0], [1, 0], [0, 1]]], lengths: [3, 3]"), whole) << loss;
    const double cut = loss_of("targets: [" + first + ", [[1, 0], [1, 0], [0, 1]]], lengths: [3, 2]");
    EXPECT_NE(cut, whole) << loss;
    EXPECT_EQ(loss_of("targets: [" + first + ", [[1, 0], [1, 0], [-9, 99]]], lengths: [3, 2]"), cut) << loss;
  }
}

TEST(Loss, OfLabelsIsThatOfTheirOneHotTargets) {
  const auto metrics_of = [](const std::string& data) {
    Lab lab(
        ExperimentText{.data = "inline: {inputs: [[[1], [2], [3]], [[4], [5], [6]]], lengths: [3, 1], " + data + "}",
                       .layers = "{dense: {units: 2, flatten: false}}",
                       .loss = "softmax_cross_entropy",
                       .train = "steps: 1, optimizer: sgd"});
    return lab.trainer.evaluate(lab.model.data.train);
  };
  const auto labels = metrics_of("labels: [[0, 1, 0], [1, -1, -1]]");
  EXPECT_EQ(labels.loss, metrics_of("targets: [[[1, 0], [0, 1], [1, 0]], [[0, 1], [-1, 0], [0, -1]]]").loss);
  const double accuracy = labels.find("accuracy").value();
  EXPECT_TRUE(accuracy == 0.25 || accuracy == 0.5 || accuracy == 0.75) << accuracy << ": of four valid steps";
}

/// Two samples of three steps, the first of which has one valid step.
ExperimentText cut_steps(const std::string& targets, const std::string& layers, const std::string& loss) {
  return {.data = "inline: {inputs: [[[1], [2], [3]], [[1], [2], [3]]], lengths: [1, 3], " + targets + "}",
          .layers = layers,
          .loss = loss,
          .train = "steps: 1, optimizer: sgd, batch_size: 2"};
}

/// Outputs that are no steps, 0 for every sample, so that losses of targets are computed by hand.
constexpr const char* kSixZeros = "{rnn: {units: 2, output: last}}, {dense: {units: 6, init: {W: zeros, b: zeros}}}";

TEST(Loss, OfTargetsThatAreNoStepsCountsAllOfThem) {
  const std::string sample = "[[5, 6], [7, 8], [9, 10]]";
  const std::string targets = "targets: [" + sample + ", " + sample + "]";
  Lab lab(cut_steps(targets, kSixZeros, "squared_error"));
  EXPECT_EQ(lab.trainer.evaluate(lab.model.data.train).loss, (25 + 36 + 49 + 64 + 81 + 100) / 2.0);
  EXPECT_EQ(testing::widened(lab.trainer.executor().target(), 6, DType::float64), (Numbers{5, 6, 7, 8, 9, 10}));
  DataSet data = lab.model.data;
  std::get<Numbers>(data.train.targets)[5] = std::numeric_limits<double>::quiet_NaN();
  const std::string error = user_error_of([&] { Loss(lab.experiment.network, lab.model.network, data); });
  EXPECT_NE(error.find("sample 0 of the training split has the target nan at element 5 (counted from 0), expected a "
                       "finite number"),
            std::string::npos)
      << error;
}

TEST(Loss, OfTargetsOfStepsIsGivenZerosBeyondTheLength) {
  Lab lab(cut_steps("targets: [[[5], [99], [-1]], [[1], [2], [3]]]", "{dense: {units: 1, flatten: false}}",
                    "squared_error"));
  lab.trainer.evaluate(lab.model.data.train);
  EXPECT_EQ(testing::widened(lab.trainer.executor().target(), 6, DType::float64), (Numbers{5, 0, 0, 1, 2, 3}));
}

TEST(Loss, OfLabelsThatAreNoStepsIsToldFromThatOfSteps) {
  const std::string labels = "labels: [[0, 1, 1], [0, 1, 1]]", reshape = std::string(kSixZeros) + ", ";
  const std::string error =
      user_error_of([&] { Lab(cut_steps(labels, reshape + "{reshape: {shape: [3, 2]}}", "softmax_cross_entropy")); });
  EXPECT_TRUE(error.starts_with("78 ")) << error;
  EXPECT_NE(error.find("[1, 3], behind a reshape to [1, 3, 2]"), std::string::npos) << error;
  Lab lab(cut_steps("labels: [[[0, 1, 1]], [[0, 1, 1]]]", reshape + "{reshape: {shape: [1, 3, 2]}}",
                    "softmax_cross_entropy"));
  lab.trainer.evaluate(lab.model.data.train);
  EXPECT_EQ(testing::widened(lab.trainer.executor().target(), 6, DType::float64), (Numbers{1, 0, 0, 1, 0, 1}));
}

TEST_P(LossNamed, RefusesOneLabelBehindPaddedSteps) {
  const std::string name = GetParam(), dense = "{dense: {flatten: false, activation: " + activation_of(name);
  for (const char* units : {"1", "2"}) {
    const std::string layers = dense + ", units: " + units + "}}";
    const std::string error = user_error_of([&] { Lab(cut_steps("labels: [0, 1]", layers, name)); });
    EXPECT_TRUE(error.starts_with("78 ")) << error;
    EXPECT_NE(error.find("the padding beyond its length would count"), std::string::npos) << error;
  }
}

TEST(Loss, SaysThatOneLabelBehindStepsMakesAClassOfEachOutput) {
  const auto doubts = [](const std::string& units, const std::string& labels) {
    return Lab({.data = "inline: {inputs: [[[1], [2]], [[3], [4]]], labels: " + labels + "}",
                .layers = "{dense: {name: out, flatten: false, units: " + units + "}}",
                .loss = "softmax_cross_entropy",
                .train = "steps: 1, optimizer: sgd"})
        .model.warnings;
  };
  ASSERT_EQ(doubts("1", "[0, 1]").size(), 1u);
  EXPECT_NE(doubts("1", "[0, 1]")[0].find("the last layer 'out' gives [2, 1] a sample, but a sample has one label: "
                                          "each of the 2 numbers is the output of a class of its own"),
            std::string::npos)
      << doubts("1", "[0, 1]")[0];
  EXPECT_TRUE(doubts("2", "[[0, 1], [1, 0]]").empty());
}

TEST(Loss, ShowsTheShapeOfLabelsThatDoNotFit) {
  const auto error_of = [](const std::string& labels) {
    return user_error_of([&] {
      Lab({.data = "inline: {inputs: [[[[1], [2], [3]], [[4], [5], [6]]]], labels: [" + labels + "]}",
           .layers = "{dense: {flatten: false, units: 2}}",
           .loss = "softmax_cross_entropy",
           .train = "steps: 1, optimizer: sgd"});
    });
  };
  EXPECT_EQ(error_of("[[0, 1, 0], [1, 0, 1]]"), "");
  const std::tuple<const char*, const char*, const char*> wrong[] = {
      {"[[[0], [1], [0]], [[1], [0], [1]]]", "the labels of a sample have shape [2, 3, 1]",
       "leave out what the labels have too much of extent 1: [2, 3] of them go with [2, 3, 2]"},
      {"[[0, 1], [0, 1], [0, 1]]", "the labels of a sample have shape [3, 2]", "transpose them to [2, 3]"},
      {"[0, 1, 0, 1, 0, 1]", "each of the 6 steps of a sample has a label",
       "give the labels shape [2, 3], or let a reshape layer make [6, 2] of the outputs"},
      {"[[0, 1, 0], [1, 0, 1], [0, 1, 0]]", "the labels of a sample have shape [3, 3]", "let it give [3, 3, classes]"},
      {"[[[0, 1], [0, 1], [0, 1]], [[0, 1], [0, 1], [0, 1]]]", "the labels of a sample have shape [2, 3, 2]",
       "write `targets` instead of `labels`"}};
  for (const auto& [labels, what, hint] : wrong) {
    const std::string error = error_of(labels);
    EXPECT_TRUE(error.find(what) != std::string::npos && error.find(hint) != std::string::npos) << error;
  }
}

}  // namespace
}  // namespace backplane
