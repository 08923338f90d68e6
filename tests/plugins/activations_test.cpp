// The built-in activations: values known by heart or by long division, limits, NaN, and derivatives.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "plugins/activation_table.h"
#include "plugins/bench.h"
#include "tensor/ulps.h"

namespace backplane {
namespace {

using testing::expect_near;
using testing::make_activation;
using testing::Numbers;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// σ of each number, as one row, in the given type.
Numbers forward(const Activation& activation, const Numbers& z, DType dtype, std::int64_t rows = 1) {
  return dispatch(dtype, [&]<class T>(T) {
    const std::vector<T> narrow(z.begin(), z.end());
    std::vector<T> a(z.size(), T(-777));
    activation.forward(narrow.data(), a.data(), rows, static_cast<std::int64_t>(z.size()) / rows);
    return Numbers(a.begin(), a.end());
  });
}

/// δ for a given ∂C/∂a, in place as the host computes it.
Numbers backward(const Activation& activation, const Numbers& z, const Numbers& d_activation, DType dtype,
                 std::int64_t rows = 1) {
  return dispatch(dtype, [&]<class T>(T) {
    const auto features = static_cast<std::int64_t>(z.size()) / rows;
    const std::vector<T> narrow(z.begin(), z.end());
    std::vector<T> a(z.size()), delta(d_activation.begin(), d_activation.end());
    activation.forward(narrow.data(), a.data(), rows, features);
    activation.backward(narrow.data(), a.data(), delta.data(), delta.data(), rows, features);
    return Numbers(delta.begin(), delta.end());
  });
}

/// An activation with its values at z = −2, −1, 0, 1, 2 and its limits, computed by hand: e = 2.718281828459045, e²
/// = 7.38905609893065.
struct Case {
  const char* name;
  const char* attributes;
  Numbers values;       ///< at −2, −1, 0, 1, 2
  Numbers derivatives;  ///< there too
  double at_minus_1000;
  double at_1000;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

const Numbers kPlaces{-2, -1, 0, 1, 2};

const Case kCases[] = {
    {"identity", "{}", {-2, -1, 0, 1, 2}, {1, 1, 1, 1, 1}, -1000, 1000},
    // 1/(1 + e²) = 0.11920292202211757, 1/(1 + e) = 0.2689414213699951; σ' = a(1 − a)
    {"sigmoid",
     "{}",
     {0.11920292202211757, 0.2689414213699951, 0.5, 0.7310585786300049, 0.8807970779778824},
     {0.10499358540350651, 0.19661193324148185, 0.25, 0.19661193324148185, 0.10499358540350651},
     0,
     1},
    // (e² − 1)/(e² + 1) = 0.7615941559557649, (e⁴ − 1)/(e⁴ + 1) = 0.9640275800758169; σ' = 1 − a²
    {"tanh",
     "{}",
     {-0.9640275800758169, -0.7615941559557649, 0, 0.7615941559557649, 0.9640275800758169},
     {0.07065082485316443, 0.41997434161402614, 1, 0.41997434161402614, 0.07065082485316443},
     -1,
     1},
    {"relu", "{}", {0, 0, 0, 1, 2}, {0, 0, 0, 1, 1}, 0, 1000},
    {"leaky_relu", "{}", {-0.02, -0.01, 0, 1, 2}, {0.01, 0.01, 0.01, 1, 1}, -10, 1000},
    {"leaky_relu", "{slope: 0.25}", {-0.5, -0.25, 0, 1, 2}, {0.25, 0.25, 0.25, 1, 1}, -250, 1000},
    // e⁻² − 1 = −0.8646647167633873, e⁻¹ − 1 = −0.6321205588285577
    {"elu",
     "{}",
     {-0.8646647167633873, -0.6321205588285577, 0, 1, 2},
     {0.1353352832366127, 0.36787944117144233, 1, 1, 1},
     -1,
     1000},
    {"elu",
     "{alpha: 0.5}",
     {-0.43233235838169365, -0.31606027941427883, 0, 1, 2},
     {0.06766764161830635, 0.18393972058572117, 0.5, 1, 1},
     -0.5,
     1000},
    // Φ(1) = 0.8413447460685429, Φ(2) = 0.9772498680518208; φ(1) = 0.24197072451914337, φ(2) = 0.05399096651318806
    {"gelu",
     "{}",
     {-0.04550026389635842, -0.15865525393145707, 0, 0.8413447460685429, 1.9544997361036416},
     {-0.0852318010781969, -0.0833154705876863, 0.5, 1.0833154705876863, 1.0852318010781969},
     0,
     1000},
    // ln(1 + e⁻²) = 0.1269280110429726, ln(1 + e⁻¹) = 0.31326168751822286, ln 2 = 0.6931471805599453
    {"softplus",
     "{}",
     {0.1269280110429726, 0.31326168751822286, 0.6931471805599453, 1.3132616875182228, 2.1269280110429727},
     {0.11920292202211757, 0.2689414213699951, 0.5, 0.7310585786300049, 0.8807970779778824},
     0,
     1000},
    // z·s; σ' = s + a(1 − s)
    {"swish",
     "{}",
     {-0.23840584404423515, -0.2689414213699951, 0, 0.7310585786300049, 1.7615941559557649},
     {-0.09078424878489547, 0.07232948812851325, 0.5, 0.9276705118714868, 1.0907842487848955},
     0,
     1000},
};

class ActivationValues : public ::testing::TestWithParam<std::tuple<Case, DType>> {
 protected:
  const Case& c() const { return std::get<0>(GetParam()); }
  DType dtype() const { return std::get<1>(GetParam()); }
  Activation activation() const { return make_activation(c().name, dtype(), c().attributes); }
};
INSTANTIATE_TEST_SUITE_P(BuiltIn, ActivationValues,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(DType::float32, DType::float64)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_" + std::to_string(test.index) + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

TEST_P(ActivationValues, AreThoseComputedByHand) {
  expect_near(forward(activation(), kPlaces, dtype()), c().values, dtype());
}

TEST_P(ActivationValues, HaveTheDerivativesComputedByHand) {
  // Another factor at each place, so that a δ that forgets ∂C/∂a shows.
  const Numbers d_activation{1, -2, 3, 0.5, -1};
  Numbers delta = c().derivatives;
  for (std::size_t i = 0; i < delta.size(); ++i) delta[i] *= d_activation[i];
  expect_near(backward(activation(), kPlaces, d_activation, dtype()), delta, dtype());
}

TEST_P(ActivationValues, ReachTheirLimits) {
  expect_near(forward(activation(), {-1000, 1000}, dtype()), {c().at_minus_1000, c().at_1000}, dtype());
  for (const double delta : backward(activation(), {-1000, 1000}, {1, 1}, dtype()))
    EXPECT_TRUE(std::isfinite(delta)) << delta;
}

/// σ(z) by the C library, in long double, by a formula whose exponentials do not overflow.
long double reference(const std::string& name, long double parameter, long double z) {
  const long double e = std::exp(-std::abs(z));  // in (0, 1]
  const long double s = (z < 0 ? e : 1.0L) / (1.0L + e);
  if (name == "sigmoid") return s;
  if (name == "tanh") return std::tanh(z);
  if (name == "relu") return std::max(0.0L, z);
  if (name == "leaky_relu") return z > 0 ? z : parameter * z;
  if (name == "elu") return z > 0 ? z : parameter * std::expm1(z);
  if (name == "gelu") return z * 0.5L * std::erfc(-z / std::sqrt(2.0L));
  if (name == "softplus") return std::max(0.0L, z) + std::log1p(e);
  if (name == "swish") return z * s;
  return z;
}

TEST_P(ActivationValues, AreRightOverTheWholeRange) {
  // Vector libraries promise their functions for a part of the numbers only; the ends of those parts are among these
  // (float32: 88 to 104, float64: 706 to 746).
  Numbers z{0.0};
  for (const double size : {1e-30, 1e-8,  1e-3,  0.1,   0.7,   3.0,   9.0,   17.0,  40.0,  87.0,   88.5, 89.0, 103.0,
                            104.5, 110.0, 200.0, 705.0, 707.0, 709.5, 710.0, 745.0, 750.0, 1001.0, 1e4,  1e9,  1e30})
    z.push_back(size), z.push_back(-size);
  const std::string attributes = c().attributes;
  const double parameter = attributes == "{}" ? (std::string(c().name) == "elu" ? 1.0 : 0.01)
                                              : std::stod(attributes.substr(attributes.find(':') + 1));
  Numbers expected;
  for (double& number : z) {
    if (dtype() == DType::float32) number = static_cast<float>(number);  // as the activation sees it
    expected.push_back(static_cast<double>(reference(c().name, parameter, number)));
  }
  // 8 units in the last place: twice what Highway promises for one of its functions, for the operations around it.
  expect_near(forward(activation(), z, dtype()), expected, dtype(), 8);
}

/// Units in the last place between what was computed and the right number; among denormals, whose units say nothing
/// about digits, none up to |z| of the smallest ones.
template <class T>
std::uint64_t error_of(double got, double right, double z) {
  const T wanted = static_cast<T>(right);
  const double allowed = std::max(1.0, std::abs(z)) * static_cast<double>(std::numeric_limits<T>::denorm_min());
  if (std::abs(wanted) < std::numeric_limits<T>::min() && std::abs(got - right) <= allowed) return 0;
  return ulps_between(static_cast<T>(got), wanted);
}

TEST_P(ActivationValues, KeepTheirDigitsInTheTails) {
  // A derivative that is taken from a value near its limit has lost the digits in which the two differ.
  if (std::string(c().attributes) != "{}") GTEST_SKIP() << "the table is for the defaults";
  for (const auto& entry : testing::kActivationTable) {
    const bool is_there = dtype() == DType::float64 || static_cast<float>(entry.z) == entry.z;
    if (entry.name != std::string(c().name) || !is_there) continue;
    const double a = forward(activation(), {entry.z}, dtype())[0];
    const double slope = backward(activation(), {entry.z}, {1.0}, dtype())[0];
    dispatch(dtype(), [&]<class T>(T) {
      EXPECT_LE(error_of<T>(a, entry.value, entry.z), 5) << "σ(" << entry.z << ") = " << a << ", not " << entry.value;
      EXPECT_LE(error_of<T>(slope, entry.derivative, entry.z), 8)
          << "σ'(" << entry.z << ") = " << slope << ", not " << entry.derivative;
    });
  }
}

TEST_P(ActivationValues, LetNaNThrough) {
  // Silently turning NaN into a number would hide a divergence for as long as nobody looks.
  expect_near(forward(activation(), {1, kNaN, 1}, dtype()), {c().values[3], kNaN, c().values[3]}, dtype());
}

TEST_P(ActivationValues, AreTheSameBitsWhereverTheRangeIsCut) {
  // 33 is whole vectors and a rest for every vector width; the elements must not notice which they are in.
  Numbers z(33);
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = -3.0 + 0.19 * static_cast<double>(i);
  const Numbers whole = forward(activation(), z, dtype());
  const Numbers whole_delta = backward(activation(), z, Numbers(33, 0.7), dtype());
  for (const std::size_t length : {1, 3, 17}) {
    for (std::size_t begin = 0; begin + length <= z.size(); begin += length) {
      const Numbers part(z.begin() + static_cast<std::ptrdiff_t>(begin),
                         z.begin() + static_cast<std::ptrdiff_t>(begin + length));
      const Numbers a = forward(activation(), part, dtype());
      const Numbers delta = backward(activation(), part, Numbers(length, 0.7), dtype());
      for (std::size_t i = 0; i < length; ++i) {
        ASSERT_EQ(a[i], whole[begin + i]) << "element " << begin + i << " in parts of " << length;
        ASSERT_EQ(delta[i], whole_delta[begin + i]) << "δ of element " << begin + i << " in parts of " << length;
      }
    }
  }
}

/// In float64 only: differences of float32 values say little.
class ActivationDerivatives : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(BuiltIn, ActivationDerivatives, ::testing::ValuesIn(kCases), [](const auto& test) {
  return std::string(test.param.name) + "_" + std::to_string(test.index);
});

TEST_P(ActivationDerivatives, AreConfirmedByCentralDifferences) {
  constexpr double kStep = 1e-5;
  const Activation activation = make_activation(GetParam().name, DType::float64, GetParam().attributes);
  for (const int size : {1, 3, 17, 33}) {
    Numbers z(static_cast<std::size_t>(size)), up = z, down = z;
    for (std::size_t i = 0; i < z.size(); ++i) {
      z[i] = -2.9 + 0.173 * static_cast<double>(i);  // no place is within a step of the kink at 0
      up[i] = z[i] + kStep, down[i] = z[i] - kStep;
    }
    const Numbers above = forward(activation, up, DType::float64), below = forward(activation, down, DType::float64);
    const Numbers delta = backward(activation, z, Numbers(z.size(), 1.0), DType::float64);
    // The error of the difference is h²/6·σ''' ≈ 1e-11, and 1e-16/h ≈ 1e-11 by rounding.
    for (std::size_t i = 0; i < z.size(); ++i)
      EXPECT_NEAR(delta[i], (above[i] - below[i]) / (2 * kStep), 2e-10) << "at z = " << z[i];
  }
}

class Softmax : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(BuiltIn, Softmax, ::testing::Values(DType::float32, DType::float64),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST_P(Softmax, OfARowIsWhatLogarithmsSay) {
  // exp(ln k) = k: rows 1 2 5 and 3 1 4 divided by their sums, by a shift that cancels.
  const Activation softmax = make_activation("softmax", GetParam());
  const Numbers z{std::log(1.0), std::log(2.0), std::log(5.0), 7 + std::log(3.0), 7 + std::log(1.0), 7 + std::log(4.0)};
  // 8 units in the last place: z = 7 + ln 4 has lost three bits of ln 4 already in float32.
  expect_near(forward(softmax, z, GetParam(), 2), {0.125, 0.25, 0.625, 0.375, 0.125, 0.5}, GetParam(), 8);
}

TEST_P(Softmax, HasTheJacobianComputedByHand) {
  // a = (1, 2, 5)/8, g = (8, 0, −8): Σ a g = 1 − 5 = −4, δ = a (g + 4) = (12·1, 4·2, −4·5)/8
  const Activation softmax = make_activation("softmax", GetParam());
  expect_near(backward(softmax, {std::log(1.0), std::log(2.0), std::log(5.0)}, {8, 0, -8}, GetParam()),
              {1.5, 1.0, -2.5}, GetParam(), 8);
}

TEST_P(Softmax, HasADeltaWithAllItsDigitsWhereOneClassIsCertain) {
  // a = (1 − 2e, e, e) with e = 2⁻⁴⁰ (float32: 2⁻²⁰): δ = (−5e, 2e, 3e) to first order, and 1·(1 − Σ a g) is not.
  const Activation softmax = make_activation("softmax", GetParam());
  const int bits = GetParam() == DType::float32 ? 20 : 40;
  const double e = std::ldexp(1.0, -bits), z = -bits * std::log(2.0);
  const Numbers delta = backward(softmax, {0, z, z}, {1, 3, 4}, GetParam());
  const double tolerance = GetParam() == DType::float32 ? 1e-5 : 1e-11;  // the second order, and the rounding of z
  EXPECT_NEAR(delta[0], -5 * e, 5 * e * tolerance);
  EXPECT_NEAR(delta[1], 2 * e, 2 * e * tolerance);
  EXPECT_NEAR(delta[2], 3 * e, 3 * e * tolerance);
}

TEST_P(Softmax, LetsNaNInGradientsThrough) {
  const Numbers delta = backward(make_activation("softmax", GetParam()), {0, 1}, {1, kNaN}, GetParam());
  EXPECT_TRUE(std::isnan(delta[0]) && std::isnan(delta[1]));
}

TEST_P(Softmax, RowsSumToOneAndDeltasToZero) {
  const Activation softmax = make_activation("softmax", GetParam());
  const double epsilon = GetParam() == DType::float32 ? 1.2e-7 : 2.2e-16;
  for (const int features : {1, 3, 17, 33}) {
    Numbers z(2 * static_cast<std::size_t>(features)), g = z;
    for (std::size_t i = 0; i < z.size(); ++i)
      z[i] = std::sin(static_cast<double>(i)), g[i] = std::cos(3.0 * static_cast<double>(i));
    const Numbers a = forward(softmax, z, GetParam(), 2), delta = backward(softmax, z, g, GetParam(), 2);
    for (int row = 0; row < 2; ++row) {
      double sum = 0, delta_sum = 0;
      for (int f = 0; f < features; ++f)
        sum += a[static_cast<std::size_t>(row * features + f)],
            delta_sum += delta[static_cast<std::size_t>(row * features + f)];
      EXPECT_NEAR(sum, 1.0, features * epsilon);
      EXPECT_NEAR(delta_sum, 0.0, features * epsilon);
    }
  }
}

TEST_P(Softmax, NeitherOverflowsNorForgetsItsRow) {
  const Activation softmax = make_activation("softmax", GetParam());
  expect_near(forward(softmax, {1000, -1000, 1000, -1000, -1000, -1000}, GetParam(), 2),
              {0.5, 0, 0.5, 1 / 3.0, 1 / 3.0, 1 / 3.0}, GetParam());
  const Numbers a = forward(softmax, {1, kNaN, 1, 1}, GetParam(), 2);
  EXPECT_TRUE(std::isnan(a[0]) && std::isnan(a[1])) << "the row with NaN is NaN";
  EXPECT_EQ(a[2], 0.5) << "the other is not";
}

TEST(SoftmaxInFloat64, HasDerivativesThatCentralDifferencesConfirm) {
  constexpr double kStep = 1e-5;
  const Activation softmax = make_activation("softmax", DType::float64);
  const Numbers z{0.3, -1.2, 0.9, 0.1, 0.0}, g{1.0, -0.5, 0.25, 2.0, -1.0};
  const auto C = [&](const Numbers& at) {
    const Numbers a = forward(softmax, at, DType::float64);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += g[i] * a[i];
    return sum;
  };
  const Numbers delta = backward(softmax, z, g, DType::float64);
  for (std::size_t i = 0; i < z.size(); ++i) {
    Numbers up = z, down = z;
    up[i] += kStep, down[i] -= kStep;
    EXPECT_NEAR(delta[i], (C(up) - C(down)) / (2 * kStep), 2e-10);
  }
}

TEST(Activations, AreAllTested) {
  // A built-in activation that nobody added to the table above would go untested.
  std::vector<std::string> tested{"softmax"};
  for (const Case& c : kCases) tested.emplace_back(c.name);
  for (const Library& library : testing::all_plugins().libraries()) {
    if (library.identity.id != "org.backplane.activation") continue;
    for (const bp_activation_type& type : library.activations)
      EXPECT_NE(std::find(tested.begin(), tested.end(), type.name), tested.end()) << type.name;
  }
}

TEST(Activations, OfInfinityAreLimitsOrInfinite) {
  EXPECT_EQ(forward(make_activation("sigmoid", DType::float32), {-kInfinity, kInfinity}, DType::float32),
            (Numbers{0, 1}));
  EXPECT_EQ(forward(make_activation("relu", DType::float32), {-kInfinity, kInfinity}, DType::float32),
            (Numbers{0, kInfinity}));
}

}  // namespace
}  // namespace backplane
