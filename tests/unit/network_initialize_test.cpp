#include "initializers/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "config/parse.h"
#include "support/model.h"

namespace backplane {
namespace {

using testing::ExperimentText;
using testing::Lab;
using testing::user_error_of;

config::Node initializer(const std::string& text) {
  return config::validate(config::parse_value(text, "test"), initializer_schema());
}

template <class T = double>
std::vector<T> initialized(const std::string& text, const Shape& shape, std::int64_t fan_in = 1,
                           std::int64_t fan_out = 1, const Stream& stream = Stream(11, Purpose::initialize)) {
  std::vector<T> values(static_cast<std::size_t>(element_count(shape)));
  const std::string owner = "parameter 'W' of layer 'l'";
  initialize(initializer(text),
             {.stream = stream, .shape = shape, .fan_in = fan_in, .fan_out = fan_out, .owner = owner}, dtype_of<T>(),
             values.data());
  return values;
}

TEST(Initialize, FillsWithConstants) {
  EXPECT_EQ(initialized("zeros", {2, 2}), std::vector<double>(4, 0.0));
  EXPECT_EQ(initialized("ones", {2, 2}), std::vector<double>(4, 1.0));
  EXPECT_EQ(initialized("{constant: {value: -2.5}}", {3}), std::vector<double>(3, -2.5));
}

/// A distribution, by what it promises.
struct Promise {
  const char* initializer;
  double mean, variance;
  double low, high;  ///< no number lies outside
  double kurtosis;   ///< E x⁴ / variance²: 9/5 for a uniform, 3 for a normal
};

class InitializeAs : public ::testing::TestWithParam<Promise> {};
constexpr double kNone = std::numeric_limits<double>::infinity();
const double kGlorot = std::sqrt(6.0 / 50), kHe = std::sqrt(6.0 / 30), kLecun = std::sqrt(3.0 / 30);
INSTANTIATE_TEST_SUITE_P(Distributions, InitializeAs,
                         ::testing::Values(Promise{"uniform", 0, 0.1 * 0.1 / 12, -0.05, 0.05, 1.8},
                                           Promise{"{uniform: {low: 1, high: 3}}", 2, 4.0 / 12, 1, 3, 1.8},
                                           Promise{"normal", 0, 0.05 * 0.05, -kNone, kNone, 3},
                                           Promise{"{normal: {mean: -1, std: 2}}", -1, 4, -kNone, kNone, 3},
                                           Promise{"glorot_uniform", 0, 2.0 / 50, -kGlorot, kGlorot, 1.8},
                                           Promise{"glorot_normal", 0, 2.0 / 50, -kNone, kNone, 3},
                                           Promise{"he_uniform", 0, 2.0 / 30, -kHe, kHe, 1.8},
                                           Promise{"he_normal", 0, 2.0 / 30, -kNone, kNone, 3},
                                           Promise{"lecun_uniform", 0, 1.0 / 30, -kLecun, kLecun, 1.8},
                                           Promise{"lecun_normal", 0, 1.0 / 30, -kNone, kNone, 3}),
                         [](const auto& test) {
                           std::string name = test.param.initializer;
                           std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
                           return name;
                         });

TEST_P(InitializeAs, HasTheMomentsAndBoundsPromised) {
  const Promise& p = GetParam();
  const std::vector<double> values = initialized(p.initializer, {200, 250}, 30, 20);
  const auto n = static_cast<double>(values.size());
  double mean = 0, variance = 0, fourth = 0;
  for (const double v : values) {
    ASSERT_TRUE(v >= p.low && v < p.high) << v;
    mean += v / n;
    variance += (v - p.mean) * (v - p.mean) / n;
    fourth += std::pow(v - p.mean, 4) / n;
  }
  // Five standard deviations of each statistic: σ²/n of the mean, (κ − 1) σ⁴/n of the variance. The fourth moment
  // only tells a uniform from a normal, which are 1.2 apart; its own deviation is √(96/n) = 0.04 at most.
  EXPECT_NEAR(mean, p.mean, 5 * std::sqrt(p.variance / n));
  EXPECT_NEAR(variance, p.variance, 5 * p.variance * std::sqrt((p.kurtosis - 1) / n));
  EXPECT_NEAR(fourth / (variance * variance), p.kurtosis, 0.25);
}

/// QᵀQ over the longer side is gain² I: rows where there are no more rows than columns, else columns.
void expect_orthonormal(const std::vector<double>& values, std::int64_t rows, std::int64_t columns, double gain) {
  const bool by_rows = rows <= columns;
  const std::int64_t vectors = std::min(rows, columns), length = std::max(rows, columns);
  const auto at = [&](std::int64_t vector, std::int64_t i) {
    return values[static_cast<std::size_t>(by_rows ? vector * columns + i : i * columns + vector)];
  };
  for (std::int64_t p = 0; p < vectors; ++p)
    for (std::int64_t q = 0; q < vectors; ++q) {
      double product = 0;
      for (std::int64_t i = 0; i < length; ++i) product += at(p, i) * at(q, i);
      // Householder vectors are orthonormal to a few roundings times their number; 1e-13 leaves a factor of ten.
      EXPECT_NEAR(product, p == q ? gain * gain : 0.0, 1e-13 * gain * gain)
          << rows << "x" << columns << " at " << p << ", " << q;
    }
}

TEST(Initialize, OrthogonalHasOrthonormalRowsOrColumns) {
  for (const auto& [rows, columns] : {std::pair{5, 9}, {9, 5}, {7, 7}, {1, 6}, {6, 1}, {1, 1}, {40, 17}}) {
    expect_orthonormal(initialized("orthogonal", {rows, columns}), rows, columns, 1.0);
    expect_orthonormal(initialized("{orthogonal: {gain: 1.5}}", {rows, columns}), rows, columns, 1.5);
  }
  expect_orthonormal(initialized("orthogonal", {3, 2, 2, 2}), 3, 8, 1.0);  // the first axis are rows, the rest columns
}

TEST(Initialize, OrthogonalIsSpreadOverAllRotations) {
  // Of a uniformly drawn orthogonal matrix every element has mean 0 and variance 1/n. Without the signs of R's
  // diagonal, LAPACK's Q would have diagonal elements that lean to one side.
  constexpr int kDraws = 2000, kSize = 4;
  std::vector<double> mean(kSize * kSize), square(kSize * kSize);
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto Q = initialized("orthogonal", {kSize, kSize}, 1, 1,
                               Stream(5, Purpose::initialize, static_cast<std::uint64_t>(draw)));
    for (std::size_t i = 0; i < Q.size(); ++i) mean[i] += Q[i] / kDraws, square[i] += Q[i] * Q[i] / kDraws;
  }
  for (std::size_t i = 0; i < mean.size(); ++i) {
    EXPECT_NEAR(mean[i], 0.0, 5 * std::sqrt(1.0 / kSize / kDraws)) << "element " << i;
    EXPECT_NEAR(square[i], 1.0 / kSize, 5 * std::sqrt(0.125 / kDraws))
        << "element " << i;  // Var q² = 3/(n(n+2)) − 1/n² < 1/8
  }
}

TEST(Initialize, TakesExplicitValuesInRowMajorOrder) {
  EXPECT_EQ(initialized("{values: [[1, 2, 3], [4, 5, -6.5]]}", {2, 3}), (std::vector<double>{1, 2, 3, 4, 5, -6.5}));
  EXPECT_EQ(initialized<float>("{values: [0.1]}", {1}), (std::vector<float>{0.1f}));
}

TEST(Initialize, RefusesValuesOfAnotherShape) {
  for (const char* values :
       {"{values: [[1, 2], [3, 4], [5, 6]]}", "{values: [1, 2, 3, 4, 5, 6]}", "{values: [[[1, 2, 3], [4, 5, 6]]]}"}) {
    const std::string error = user_error_of([&] { initialized(values, {2, 3}); });
    EXPECT_TRUE(error.starts_with("78 ") &&
                error.find("parameter 'W' of layer 'l' has shape [2, 3], but the values given have shape") !=
                    std::string::npos)
        << values << ": " << error;
  }
}

TEST(Initialize, RoundsTheFloat64NumbersForFloat32) {
  for (const char* name : {"uniform", "he_normal", "orthogonal"}) {
    const auto wide = initialized<double>(name, {8, 6}, 6, 8);
    EXPECT_EQ(initialized<float>(name, {8, 6}, 6, 8), std::vector<float>(wide.begin(), wide.end())) << name;
  }
}

TEST(Initialize, IsAFunctionOfTheStream) {
  for (const char* name : {"uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
                           "lecun_uniform", "lecun_normal", "orthogonal"}) {
    const auto with = [&](std::uint64_t seed, std::uint64_t a) {
      return initialized(name, {4, 5}, 5, 4, Stream(seed, Purpose::initialize, a));
    };
    EXPECT_EQ(with(1, 0), with(1, 0)) << name;
    EXPECT_NE(with(1, 0), with(2, 0)) << name;
    EXPECT_NE(with(1, 0), with(1, 1)) << name;
  }
}

ExperimentText two_layers(const std::string& seed, const std::string& init = "{W: normal, b: normal}") {
  return {.data = "synthetic: {random: {samples: 4, inputs: 6, targets: 6}}",
          .layers = "{dense: {units: 6, init: " + init + "}}, {dense: {units: 6, init: " + init + "}}",
          .train = "steps: 1, optimizer: sgd",
          .seed = seed};
}

TEST(Network, InitialisesTheSameBitsForTheSameSeed) {
  const Lab one(two_layers("3")), again(two_layers("3")), other(two_layers("4"));
  EXPECT_EQ(one.model.network.weights_digest(), again.model.network.weights_digest());
  EXPECT_NE(one.model.network.weights_digest(), other.model.network.weights_digest());
}

TEST(Network, DrawsOtherNumbersForEachLayerAndParameter) {
  const Lab lab(two_layers("3"));
  EXPECT_NE(lab.parameter(0, 0), lab.parameter(1, 0));
  EXPECT_NE(lab.parameter(0, 1), lab.parameter(1, 1));
  const std::vector<double> W = lab.parameter(0, 0);
  EXPECT_NE(lab.parameter(0, 1), std::vector<double>(W.begin(), W.begin() + 6));
}

TEST(Network, UsesThePluginsInitialiserWhereNoneIsGiven) {
  const Lab lab(two_layers("3", "{}"));
  const double bound = std::sqrt(6.0 / 12);  // glorot_uniform of 6 inputs and 6 outputs
  const std::vector<double> W = lab.parameter(0, 0);
  EXPECT_GT(*std::ranges::max_element(W),
            0.7 * bound);  // 36 draws: all below 0.7 of the bound has odds of 1 in 300 000
  for (const double w : W) EXPECT_LE(std::abs(w), bound);
  EXPECT_EQ(lab.parameter(0, 1), std::vector<double>(6, 0.0));
}

TEST(Network, DigestIsTheHashOfAllParametersInLayerOrder) {
  const Lab lab(ExperimentText{.data = "inline: {inputs: [[1]], targets: [[1]]}",
                               .layers = "{dense: {units: 1, init: {W: ones, b: zeros}}}, "
                                         "{dense: {units: 1, init: {W: {constant: {value: -2}}, b: ones}}}",
                               .train = "steps: 1, optimizer: sgd"});
  // printf '000000000000f03f' '0000000000000000' '00000000000000c0' '000000000000f03f' | xxd -r -p | sha256sum
  EXPECT_EQ(lab.model.network.weights_digest(), "99efe8228cb5e3d17de01c1e38608bbcf6f35c0964f916ae8f15e3916a0c06d3");
  EXPECT_EQ(lab.model.network.parameter_count(), 4);
}

}  // namespace
}  // namespace backplane
