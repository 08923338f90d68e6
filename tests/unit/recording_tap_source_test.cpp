#include "recording/tap_source.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/model.h"

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;
using testing::user_error_of;

using Names = std::vector<std::string>;

/// Two layers with parameters, of which one is frozen, and between them one without that saves a tensor.
const ExperimentText kNetwork{.data = "inline: {inputs: [[1, 2]], targets: [[1]]}",
                              .layers =
                                  "{dense: {name: hidden, units: 2, trainable: {b: false}}}, "
                                  "{dropout: {name: drop, rate: 0.5}}, {dense: {name: out, units: 1}}",
                              .train = "steps: 1, optimizer: sgd"};

std::vector<Tap> taps(const Names& patterns) {
  std::vector<Tap> all;
  for (const std::string& pattern : patterns)
    all.push_back({.pattern = pattern, .place = {.source = "a.yaml", .line = 3, .column = 9}});
  return all;
}

/// "layer/tensor" of all that the patterns name.
Names found(const Lab& lab, const Names& patterns, bool loss_gives_delta = false) {
  Names names;
  for (const LayerTensor& tensor : find_taps(lab.model.network, loss_gives_delta, taps(patterns), "record.taps")) {
    EXPECT_TRUE(tensor.can_be_tapped) << tensor.name;
    names.push_back(lab.model.network.nodes()[tensor.node].name() + "/" + tensor.name);
  }
  return names;
}

TEST(FindTaps, TakesATensorOfEveryLayerThatHasIt) {
  const Lab lab(kNetwork);
  EXPECT_EQ(found(lab, {"delta"}), (Names{"hidden/delta", "drop/delta", "out/delta"}));
  EXPECT_EQ(found(lab, {"mask"}), (Names{"drop/mask"}));
  EXPECT_EQ(found(lab, {"weights"}), (Names{"hidden/weights/W", "hidden/weights/b", "out/weights/W", "out/weights/b"}));
  // A frozen parameter has no gradient.
  EXPECT_EQ(found(lab, {"gradients"}), (Names{"hidden/gradients/W", "out/gradients/W", "out/gradients/b"}));
  EXPECT_EQ(found(lab, {}), Names{});
}

TEST(FindTaps, TakesOneLayersTensorOrParameter) {
  const Lab lab(kNetwork);
  EXPECT_EQ(found(lab, {"out/delta"}), (Names{"out/delta"}));
  EXPECT_EQ(found(lab, {"out/weights"}), (Names{"out/weights/W", "out/weights/b"}));
  EXPECT_EQ(found(lab, {"out/weights/b"}), (Names{"out/weights/b"}));
  EXPECT_EQ(found(lab, {"drop/*"}),
            (Names{"drop/z", "drop/activation", "drop/activation_gradient", "drop/delta", "drop/mask"}));
}

TEST(FindTaps, TakesWildcardsInLayersAndTensors) {
  const Lab lab(kNetwork);
  EXPECT_EQ(found(lab, {"[ho]*/z"}), (Names{"hidden/z", "out/z"}));
  EXPECT_EQ(found(lab, {"?ut/delta"}), (Names{"out/delta"}));
  EXPECT_EQ(found(lab, {"*/weights/b"}), (Names{"hidden/weights/b", "out/weights/b"}));
  EXPECT_EQ(found(lab, {"d*"}), (Names{"hidden/delta", "drop/delta", "out/delta"}));
  EXPECT_EQ(found(lab, {"out/*/W"}), (Names{"out/weights/W", "out/gradients/W"}));
}

TEST(FindTaps, GivesEachTensorOnceInTheOrderOfLayers) {
  const Lab lab(kNetwork);
  const Names want{"hidden/z", "hidden/delta", "drop/z", "out/z", "out/weights/W", "out/weights/b"};
  EXPECT_EQ(found(lab, {"out/weights/b", "hidden/delta", "z", "out/weights", "*/z", "hidden/z"}), want);
  EXPECT_EQ(found(lab, {"hidden/z", "z", "out/weights", "hidden/delta"}), want);
}

TEST(FindTaps, HasNoActivationGradientWhereTheLossGivesDelta) {
  const Lab lab(kNetwork);
  const Names inner{"hidden/activation_gradient", "drop/activation_gradient"};
  EXPECT_EQ(found(lab, {"activation_gradient"}, true), inner);
  Names all = inner;
  all.emplace_back("out/activation_gradient");
  EXPECT_EQ(found(lab, {"activation_gradient"}, false), all);
  EXPECT_EQ(user_error_of([&] {
              found(lab, {"out/activation_gradient"}, true);
            }).find("78 a.yaml:3:9: error: layer 'out' has no tensor 'activation_gradient'"),
            0u);
}

TEST(FindTaps, LetsDefaultsNameParametersOfANetworkThatHasNone) {
  ExperimentText text = kNetwork;
  text.data = "inline: {inputs: [[1, 2]], targets: [[1, 2]]}";
  text.layers = "{dropout: {name: drop, rate: 0.5}}";
  const Lab lab(text);
  EXPECT_EQ(found(lab, {"weights", "gradients", "delta"}), (Names{"drop/delta"}));
  EXPECT_NE(user_error_of([&] { found(lab, {"drop/weights"}); }), "") << "no default, so a slip";
}

TEST(FindTaps, SaysWhatIsKnownWhereATapNamesNothing) {
  const Lab lab(kNetwork);
  const auto error = [&](const char* pattern) { return user_error_of([&] { found(lab, {"delta", pattern}); }); };
  EXPECT_EQ(error("gradient"),
            "78 a.yaml:3:9: error: no layer of this network has a tensor 'gradient'\n"
            "  record.taps\n"
            "  did you mean 'gradients'?   known: z, activation, activation_gradient, delta, weights, gradients, mask\n"
            "  hint: a tap is TENSOR, or LAYER/TENSOR with one of the layers hidden, drop, out");
  EXPECT_EQ(error("hiden/delta"),
            "78 a.yaml:3:9: error: no layer of this network is called 'hiden'\n"
            "  record.taps\n"
            "  did you mean 'hidden'?   known: hidden, drop, out");
  EXPECT_EQ(error("hiden"),
            "78 a.yaml:3:9: error: no layer of this network has a tensor 'hiden'\n"
            "  record.taps\n"
            "  did you mean 'hidden/*'?   known: z, activation, activation_gradient, delta, weights, gradients, mask\n"
            "  hint: a tap is TENSOR, or LAYER/TENSOR with one of the layers hidden, drop, out");
  EXPECT_EQ(error("out/mask").find("78 a.yaml:3:9: error: layer 'out' has no tensor 'mask'"), 0u);
  EXPECT_NE(error("drop/weights"), "");
}

}  // namespace
}  // namespace backplane
