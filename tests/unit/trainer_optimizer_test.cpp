#include "optimizers/table.h"
#include "trainer/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "support/model.h"

// Ten steps of every optimizer against PyTorch stand in tests/golden; here is what PyTorch cannot say.

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;
using Numbers = std::vector<double>;

/// z = W a + b with W = 2, b = 1 and one sample a = 3, y = 5: C = ½(7 − 5)², so ∂C/∂W = 6 and ∂C/∂b = 2.
ExperimentText line(const std::string& train, const std::string& layer = "") {
  return {.data = "inline: {inputs: [[3]], targets: [[5]]}",
          .layers = "{dense: {name: l, units: 1, init: {W: {values: [[2]]}, b: {values: [1]}}" + layer + "}}",
          .train = "steps: 2, " + train};
}

/// A training section, what W and b are after one step, by hand.
struct OneStep {
  const char* what;
  const char* train;
  const char* layer;
  double W, b;
};
class OptimizerStep : public ::testing::TestWithParam<OneStep> {};
// In the first step v = g, m̂ = g and √v̂ = |g|, so that adaptive rules move by η g / (|g| + ε).
INSTANTIATE_TEST_SUITE_P(
    ByHand, OptimizerStep,
    ::testing::Values(
        OneStep{"sgd", "optimizer: {sgd: {lr: 0.1}}", "", 2 - 0.6, 1 - 0.2},
        OneStep{"momentum", "optimizer: {momentum: {lr: 0.1, momentum: 0.5}}", "", 2 - 0.6, 1 - 0.2},
        OneStep{"nesterov", "optimizer: {nesterov: {lr: 0.1, momentum: 0.5}}", "", 2 - 0.9, 1 - 0.3},
        OneStep{"adagrad", "optimizer: {adagrad: {lr: 0.1, epsilon: 2}}", "", 2 - 0.6 / 8, 1 - 0.2 / 4},
        OneStep{"rmsprop", "optimizer: {rmsprop: {lr: 0.1, decay: 0.75, epsilon: 1}}", "", 2 - 0.6 / 4, 1 - 0.2 / 2},
        OneStep{"adam", "optimizer: {adam: {lr: 0.1, epsilon: 2}}", "", 2 - 0.6 / 8, 1 - 0.2 / 4},
        OneStep{"adamw shrinks weights and leaves biases",
                "optimizer: {adamw: {lr: 0.1, epsilon: 2, weight_decay: 0.5}}", "", 0.95 * 2 - 0.6 / 8, 1 - 0.2 / 4},
        OneStep{"l2 adds 0.5 W to the gradient of the weights", "l2: 0.5, optimizer: {sgd: {lr: 0.1}}", "", 2 - 0.7,
                1 - 0.2},
        OneStep{"l1 adds its sign", "l1: 0.5, optimizer: {sgd: {lr: 0.1}}", "", 2 - 0.65, 1 - 0.2},
        OneStep{"a layer's penalties win over those of train", "l1: 7, l2: 7, optimizer: {sgd: {lr: 0.1}}",
                ", l1: 0, l2: 0.5", 2 - 0.7, 1 - 0.2},
        OneStep{"clipping by value holds each element", "clip: {value: 4}, optimizer: {sgd: {lr: 0.1}}", "", 2 - 0.4,
                1 - 0.2},
        OneStep{"clipping by norm scales all", "clip: {norm: 1}, optimizer: {sgd: {lr: 0.1}}", "",
                2 - 0.6 / std::sqrt(40.0), 1 - 0.2 / std::sqrt(40.0)},
        OneStep{"a norm that is small enough stays", "clip: {norm: 6.4}, optimizer: {sgd: {lr: 0.1}}", "", 2 - 0.6,
                1 - 0.2},
        OneStep{"penalties are not clipped", "clip: {value: 4}, l2: 0.5, optimizer: {sgd: {lr: 0.1}}", "", 2 - 0.5,
                1 - 0.2},
        // √10 halves the gradient to (3, 1), of which the value 2 then cuts the first; the other way it were (2, 2).
        OneStep{"the norm comes before the value",
                "clip: {norm: 3.1622776601683795, value: 2}, optimizer: {sgd: {lr: 0.1}}", "", 2 - 0.2, 1 - 0.1},
        OneStep{"frozen layers stay", "l2: 0.5, optimizer: {sgd: {lr: 0.1}}", ", trainable: false", 2, 1},
        OneStep{"frozen parameters stay", "optimizer: {adamw: {lr: 0.1, epsilon: 2, weight_decay: 0.5}}",
                ", trainable: {W: false}", 2, 1 - 0.2 / 4},
        OneStep{"frozen parameters do not count in the norm", "clip: {norm: 1}, optimizer: {sgd: {lr: 0.1}}",
                ", trainable: {W: false}", 2, 1 - 0.1}),
    [](const auto& test) {
      std::string name = test.param.what;
      for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
      return name;
    });

TEST_P(OptimizerStep, MovesParametersAsComputedByHand) {
  Lab lab(line(GetParam().train, GetParam().layer));
  lab.trainer.probe(0);  // leaves gradients of frozen parameters behind, which must not count
  lab.trainer.step();
  // A handful of roundings of numbers near 2.
  EXPECT_NEAR(lab.parameter(0, 0)[0], GetParam().W, 4e-15);
  EXPECT_NEAR(lab.parameter(0, 1)[0], GetParam().b, 4e-15);
}

TEST(Optimizer, PenaltyL1PullsTowardsZeroFromBothSidesAndNotAtZero) {
  Lab lab(ExperimentText{.data = "inline: {inputs: [[0, 0, 0]], targets: [[0]]}",
                         .layers = "{dense: {units: 1, init: {W: {values: [[2, -2, 0]]}}}}",
                         .train = "steps: 1, l1: 0.5, optimizer: {sgd: {lr: 1}}"});
  lab.trainer.step();
  EXPECT_EQ(lab.parameter(0, 0), (Numbers{1.5, -1.5, 0}));
}

TEST(Optimizer, ClippingByValueHoldsNegativeElementsToo) {
  Lab lab(ExperimentText{.data = "inline: {inputs: [[1, -1]], targets: [[8]]}",
                         .layers = "{dense: {units: 1, bias: false, init: {W: zeros}}}",
                         .train = "steps: 1, clip: {value: 0.5}, optimizer: {sgd: {lr: 1}}"});
  lab.trainer.step();  // the gradient is (−8, 8)
  EXPECT_EQ(lab.parameter(0, 0), (Numbers{0.5, -0.5}));
}

TEST(Optimizer, LeavesSlotsOfFrozenParametersAlone) {
  Lab lab(line("optimizer: {adam: {lr: 0.1}}", ", trainable: {W: false}"));
  lab.run();
  Optimizer& optimizer = lab.trainer.optimizer();
  EXPECT_EQ(optimizer.slots(), (std::vector<std::string>{"mean", "variance"}));
  for (std::size_t slot : {0u, 1u}) {
    EXPECT_EQ(*optimizer.slot(0, 0, slot).as<double>(), 0.0);
    EXPECT_NE(*optimizer.slot(0, 1, slot).as<double>(), 0.0);
  }
}

TEST(Optimizer, KeepsTheVarianceOfAdamToTheLastBitsOfFloat32) {
  ExperimentText text = line("optimizer: {adam: {}}");
  text.dtype = "float32";
  Lab lab(text);
  lab.trainer.step();
  const double variance = lab.trainer.optimizer().slot(0, 0, 1).as<float>()[0];
  EXPECT_NEAR(variance, 0.001 * 36, 2e-7 * 0.036);  // three roundings; 1 − β₂ taken in float32 is 1.3e-5 off
}

TEST(Optimizer, TrainsALayerBelowAFrozenOne) {
  Lab lab(ExperimentText{.data = "inline: {inputs: [[3]], targets: [[5]]}",
                         .layers = "{dense: {units: 1, bias: false, init: {W: ones}}}, "
                                   "{dense: {units: 1, bias: false, init: {W: {values: [[2]]}}, trainable: false}}",
                         .train = "steps: 1, optimizer: {sgd: {lr: 0.1}}"});
  lab.trainer.step();  // z = 6, δ₂ = 1, δ₁ = 2, ∂C/∂W₁ = 6
  EXPECT_DOUBLE_EQ(lab.parameter(0, 0)[0], 1 - 0.6);
  EXPECT_EQ(lab.parameter(1, 0)[0], 2.0);
}

std::vector<std::string> all_optimizers() {
  std::vector<std::string> names;
  for (const OptimizerKind& kind : optimizers()) names.push_back(kind.name);
  return names;
}

class OptimizerNamed : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, OptimizerNamed, ::testing::ValuesIn(all_optimizers()),
                         [](const auto& test) { return test.param; });

/// 37 × 53 weights: more than one vector of any width, and none divides them.
ExperimentText wide(const std::string& optimizer, const char* dtype, int seed) {
  return {.data = "synthetic: {random: {samples: 8, inputs: 53, targets: 37}}",
          .layers = "{dense: {units: 37}}",
          .train = std::string("steps: 3, batch_size: 8, l1: 0.01, l2: 0.02, optimizer: ") + optimizer,
          .dtype = dtype,
          .seed = std::to_string(seed)};
}

/// Two updates of all weights, the slots counting in the second, one tile [0, end), [end, …) after the other.
std::string digest_after_updates(const ExperimentText& text, const std::vector<std::int64_t>& ends) {
  Lab lab(text);
  Optimizer& optimizer = lab.trainer.optimizer();
  for (const std::uint64_t number : {1u, 2u}) {
    lab.trainer.probe(0);
    std::int64_t begin = 0;
    for (const std::int64_t end : ends) {
      const Tile tile{.node = 0, .unit_begin = 0, .unit_end = 0, .ranges = {{0, begin, end}}};
      const auto* gradient = static_cast<const std::byte*>(lab.trainer.executor().gradient(0, 0));
      optimizer.update(tile, 0, gradient + static_cast<std::size_t>(begin) * size_of(lab.model.network.dtype()),
                       {.number = number, .rate = 0.01});
      begin = end;
    }
  }
  return lab.model.network.weights_digest();
}

/// Those whose elements depend on nothing but themselves. Sums over a parameter belong to its cut, which depends on the
/// network alone: threads_test.cpp has their bits.
std::vector<std::string> elementwise_optimizers() {
  std::vector<std::string> names = all_optimizers();
  std::erase_if(names,
                [](const std::string& name) { return Lab(wide(name, "float32", 0)).trainer.optimizer().needs_sums(); });
  return names;
}

class ElementwiseOptimizer : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, ElementwiseOptimizer, ::testing::ValuesIn(elementwise_optimizers()),
                         [](const auto& test) { return test.param; });

TEST_P(ElementwiseOptimizer, HasTheSameBitsHoweverParametersAreCutIntoTiles) {
  // Vectors and what is left over behind them must round alike; which elements are left over depends on the cut. Where
  // they do not, only some numbers show it: hence several seeds.
  constexpr std::int64_t kCount = 37 * 53;
  for (const char* dtype : {"float32", "float64"})
    for (int seed = 0; seed < 10; ++seed) {
      const ExperimentText text = wide(GetParam(), dtype, seed);
      const std::string whole = digest_after_updates(text, {kCount});
      EXPECT_EQ(digest_after_updates(text, {1, 2, 9, 100, 101, 107, 117, 1024, 1037, 1500, kCount}), whole)
          << dtype << ", seed " << seed;
      EXPECT_NE(whole, Lab(text).model.network.weights_digest());
    }
}

TEST_P(OptimizerNamed, MakesALineFitItsPoints) {
  // AdaGrad's rate shrinks as 1/√t, so it needs a larger one to get as far. Steps of lion and lamb do not shrink with
  // the gradient, and end up as far from the solution as they are long.
  const std::string& name = GetParam();
  const std::string rate = name == "adagrad" ? "1" : name == "lion" ? "0.002" : name == "lamb" ? "0.005" : "0.03";
  Lab lab(ExperimentText{.data = "inline: {inputs: [[-1], [0], [1], [2]], targets: [[-1], [1], [3], [5]]}",
                         .layers = "{dense: {units: 1, init: {W: {constant: {value: 0.5}}}}}",
                         .train = "steps: 3000, batch_size: 4, optimizer: {" + name + ": {lr: " + rate + "}}",
                         .seed = "1"});
  const double before = lab.trainer.evaluate(lab.model.data.train).loss;
  lab.run();
  // Two parameters, an exact solution: every rule gets far; a wrong sign or a wrong scale does not.
  EXPECT_LT(lab.trainer.evaluate(lab.model.data.train).loss, 1e-3 * before);
}

}  // namespace
}  // namespace backplane
