// Whole networks on sequences: labels for every step, state carried from window to window, text that is written on.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "generation/generate.h"
#include "support/model.h"

namespace backplane {
namespace {

using testing::Lab;
using testing::TemporaryFolder;

/// A network on a text, read in windows.
Lab on_text(const std::string& text, int window, const std::string& layers, const std::string& train) {
  static const TemporaryFolder folder("sequences");
  std::ofstream(folder.path("a.txt")) << text;
  return Lab("name: test\nseed: 3\ndtype: float64\ndata: {text: {files: " + folder.path("a.txt") +
             ", test: 0, window: " + std::to_string(window) + "}}\nnetwork: {layers: [" + layers +
             "], loss: softmax_cross_entropy}\ntrain: {epochs: 1, optimizer: {sgd: {lr: 0.1}}, " + train + "}\n");
}

const std::string kText = "to be or not to be, that is the question:";  // 40 symbols and one to tell
const std::string kSymbols = "15";

std::string recurrent(const char* type, bool stateful) {
  return "{embedding: {vocabulary: " + kSymbols + ", units: 4}}, {" + type +
         ": {units: 6, stateful: " + (stateful ? "true" : "false") + "}}, {dense: {units: " + kSymbols +
         ", flatten: false}}";
}

double loss_in_windows(const char* type, int window, bool stateful) {
  Lab lab = on_text(kText, window, recurrent(type, stateful), "batch_size: 1, streams: true");
  return lab.trainer.evaluate(lab.model.data.train).loss;
}

TEST(Sequences, StateIsCarriedFromWindowToWindow) {
  for (const char* type : {"rnn", "gru", "lstm"}) {
    SCOPED_TRACE(type);
    const double whole = loss_in_windows(type, 20, true);
    EXPECT_NEAR(loss_in_windows(type, 10, true), whole, 1e-12);
    EXPECT_NEAR(loss_in_windows(type, 4, true), whole, 1e-12);
    EXPECT_GT(std::abs(loss_in_windows(type, 4, false) - whole), 1e-6) << "each window begins anew";
  }
}

TEST(Sequences, EveryStepHasALossAndCounts) {
  // Untrained logits of zero weights are equal: the loss of a step is ln 15, and so is its mean over steps.
  Lab lab = on_text(kText, 8,
                    "{embedding: {vocabulary: 15, units: 2}}, {dense: {units: 15, flatten: false, init: {W: zeros}}}",
                    "batch_size: 2");
  const Metrics metrics = lab.trainer.evaluate(lab.model.data.train);
  EXPECT_NEAR(metrics.loss, std::log(15.0), 1e-12);
  // The largest of equal logits is the first, a space: its share among the symbols to tell is the accuracy.
  const std::string told = kText.substr(1, 40);
  EXPECT_NEAR(*metrics.find("accuracy"), static_cast<double>(std::count(told.begin(), told.end(), ' ')) / 40.0, 1e-12);
}

TEST(Sequences, StepsBeyondTheLengthHaveNoLossAndNoGradient) {
  // Two samples of three steps, the second of length 1. What its padding holds must not matter.
  const auto gradient_with = [](const std::string& padding) {
    Lab lab("name: test\nseed: 1\ndtype: float64\ndata: {inline: {inputs: [[[1], [2], [3]], [[4], [" + padding +
            "], [9]]], labels: [0, 1], lengths: [3, 1]}}\n"
            "network: {layers: [{gru: {units: 3, output: last}}, {dense: {units: 2}}], loss: softmax_cross_entropy}\n"
            "train: {steps: 1, optimizer: {sgd: {lr: 0.1}}}\n");
    lab.trainer.probe(2);
    return lab.gradient(0, 0);
  };
  EXPECT_EQ(gradient_with("5"), gradient_with("-100"));
}

TEST(Sequences, ATextGoesOnAsTheNetworkSays) {
  // Symbols a, b, c are 0, 1, 2; the logits of x are 100 at x + 1 modulo 3: after a comes b, after b c, after c a.
  Lab lab = on_text("abcabcabcabc", 3,
                    "{embedding: {vocabulary: 3, units: 3, init: {W: {values: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}}}}, "
                    "{dense: {units: 3, flatten: false, init: {W: {values: [[0, 0, 100], [100, 0, 0], [0, 100, 0]]}}}}",
                    "batch_size: 2");
  const auto texts = generate_text({.samples = 2, .length = 7, .temperature = 1.0, .place = {}}, lab.model.data,
                                   lab.model.network, lab.trainer.executor(), 5, [] { return false; });
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0].prompt, "abc");
  EXPECT_EQ(texts[0].text, "abcabca");
}

TEST(Sequences, DrawsFollowTheProbabilities) {
  // Logits of every symbol are those of the bias: p(b) = 1 / (1 + e^-1) with temperature 1, more with less.
  const auto share_of_b = [](double temperature) {
    Lab lab = on_text("abababababab", 2,
                      "{embedding: {vocabulary: 2, units: 1}}, {dense: {units: 2, flatten: false, init: {W: zeros, b: "
                      "{values: [0, 1]}}}}",
                      "batch_size: 1");
    const auto texts =
        generate_text({.samples = 1, .length = 4000, .temperature = temperature, .place = {}}, lab.model.data,
                      lab.model.network, lab.trainer.executor(), 5, [] { return false; });
    return static_cast<double>(std::count(texts[0].text.begin(), texts[0].text.end(), 'b')) / 4000.0;
  };
  EXPECT_NEAR(share_of_b(1.0), 1.0 / (1.0 + std::exp(-1.0)), 0.03);  // four standard deviations
  EXPECT_NEAR(share_of_b(0.5), 1.0 / (1.0 + std::exp(-2.0)), 0.03);
}

}  // namespace
}  // namespace backplane
