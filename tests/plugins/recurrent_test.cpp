// rnn, lstm and gru: numbers computed by hand, layers drawn at random against the definition and against differences,
// lengths, state, truncation, and what is said where something does not fit.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "plugins/bench.h"
#include "plugins/gradients.h"
#include "trainer/gradient_check.h"

namespace backplane {
namespace {

using testing::expect_close;
using testing::expect_near;
using testing::expect_true_gradients;
using testing::LayerBench;
using testing::Numbers;

BP_IN_BOTH_TYPES(Recurrent);

/// The saved tensor of this name.
Numbers tap(const LayerBench& bench, const std::string& name) {
  for (std::size_t i = 0; i < bench.plan().saved.size(); ++i)
    if (bench.plan().saved[i].name == name) return bench.saved(i);
  throw std::runtime_error("no saved tensor " + name);
}

const double kHalfLn3 = std::log(3.0) / 2;  // tanh of it is ½

TEST_P(Recurrent, RnnOfTwoSamples) {
  // h = max(0, 2x + h₋ + 1): x = (1 −1 2) gives 3, 2, 7; x = (−2 1 −9) gives 0, 3, 0
  LayerBench rnn("rnn", "{units: 1, nonlinearity: relu}", {{3, 1}}, 2, dtype());
  rnn.input(0, {1, -1, 2, -2, 1, -9}).parameter(0, {2}).parameter(1, {1}).parameter(2, {3}).parameter(3, {-2});
  EXPECT_EQ(rnn.plan().output, (Shape{3, 1}));
  EXPECT_EQ(rnn.forward(), (Numbers{3, 2, 7, 0, 3, 0}));
  EXPECT_EQ(tap(rnn, "hidden_before"), (Numbers{0, 3, 2, 0, 0, 3}));
  // dh of a step is 1 and what the step behind hands on.
  const auto gradients = rnn.backward({1, 1, 1, 1, 1, 1});
  EXPECT_EQ(tap(rnn, "delta_hidden"), (Numbers{3, 2, 1, 2, 1, 1}));
  EXPECT_EQ(tap(rnn, "delta_gates"), (Numbers{3, 2, 1, 0, 1, 0}));
  EXPECT_EQ(gradients.inputs[0], (Numbers{6, 4, 2, 0, 2, 0}));
  EXPECT_EQ(gradients.parameters[0], (Numbers{3 * 1 + 2 * -1 + 1 * 2 + 1 * 1}));
  EXPECT_EQ(gradients.parameters[1], (Numbers{2 * 3 + 1 * 2 + 1 * 0}));
  EXPECT_EQ(gradients.parameters[2], (Numbers{7}));
  EXPECT_EQ(gradients.parameters[3], (Numbers{7}));
}

TEST_P(Recurrent, LstmOfTwoSteps) {
  // Only g sees x: i = f = o = ½, g = (½, 0), c = (¼, ⅛)
  LayerBench lstm("lstm", "{units: 1}", {{2, 1}}, 1, dtype());
  lstm.input(0, {1, 0}).parameter(0, {0, 0, kHalfLn3, 0}).parameter(1, {0, 0, 0, 0});
  lstm.parameter(2, {0, 0, 0, 0}).parameter(3, {0, 0, 0, 0});
  expect_near(lstm.forward(), {std::tanh(0.25) / 2, std::tanh(0.125) / 2}, dtype());
  expect_near(tap(lstm, "gates"), {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0.5}, dtype());
  expect_near(tap(lstm, "cell"), {0.25, 0.125}, dtype());
  const auto gradients = lstm.backward({0, 1});
  const double tanh_c = std::tanh(0.125), dc = 0.5 * (1 - tanh_c * tanh_c);
  const Numbers second{0, dc * 0.25 * 0.25, dc * 0.5, tanh_c * 0.25};
  const Numbers first{dc / 2 * 0.5 * 0.25, 0, dc / 2 * 0.5 * 0.75, 0};
  Numbers both = first;
  both.insert(both.end(), second.begin(), second.end());
  expect_near(tap(lstm, "delta_gates"), both, dtype());
  expect_near(gradients.inputs[0], {first[2] * kHalfLn3, second[2] * kHalfLn3}, dtype());
  expect_near(gradients.parameters[0], first, dtype(), 200);  // times x = (1, 0); next to 100
  const double h = std::tanh(0.25) / 2;
  expect_near(gradients.parameters[1], {h * second[0], h * second[1], h * second[2], h * second[3]}, dtype(), 200);
}

TEST_P(Recurrent, GruOfTwoSteps) {
  // r = z = ½, q = ln 3, n = tanh(x·½ln 3 + ½ln 3) = (½, 0), h = (¼, ⅛)
  LayerBench gru("gru", "{units: 1}", {{2, 1}}, 1, dtype());
  gru.input(0, {0, -1}).parameter(0, {0, 0, kHalfLn3}).parameter(1, {0, 0, 0});
  gru.parameter(2, {0, 0, 0}).parameter(3, {0, 0, 2 * kHalfLn3});
  expect_near(gru.forward(), {0.25, 0.125}, dtype());
  expect_near(tap(gru, "gates"), {0.5, 0.5, 0.5, 0.5, 0.5, 0}, dtype());
  expect_near(tap(gru, "gated"), {2 * kHalfLn3, 2 * kHalfLn3}, dtype());
  const auto gradients = gru.backward({0, 1});
  expect_near(tap(gru, "delta_hidden"), {0.5, 1}, dtype());
  const double r0 = 0.1875 * kHalfLn3 / 2, r1 = 0.5 * kHalfLn3 / 2;
  expect_near(tap(gru, "delta_gates"), {r0, -0.0625, 0.1875, r1, 0.0625, 0.5}, dtype());
  expect_near(tap(gru, "delta_gated"), {0.09375, 0.25}, dtype());
  expect_near(gradients.inputs[0], {0.1875 * kHalfLn3, 0.5 * kHalfLn3}, dtype());
  expect_near(gradients.parameters[1], {r1 / 4, 0.0625 / 4, 0.25 / 4}, dtype(), 200);
  expect_near(gradients.parameters[2], {r0 + r1, 0, 0.6875}, dtype(), 200);
  expect_near(gradients.parameters[3], {r0 + r1, 0, 0.34375}, dtype(), 200);
}

/// A layer drawn at random.
struct Drawn {
  std::string type, yaml;
  std::int64_t I, H, steps, samples;
  bool is_bidirectional, is_last, is_stateful, has_bias, is_relu;
  std::vector<std::int64_t> lengths;  ///< empty: all steps
  std::uint64_t seed;

  std::int64_t gates() const { return type == "rnn" ? 1 : type == "lstm" ? 4 : 3; }
  LayerBench bench(DType dtype) const {
    LayerBench made(type, yaml, {{steps, I}}, samples, dtype);
    made.lengths(lengths);
    for (std::size_t i = 0; i < made.plan().state.size(); ++i) made.state(i, state(i));
    return made;
  }
  /// h₋ (0) or c₋ (1) of the first step.
  Numbers state(std::size_t i) const { return testing::random_numbers(samples * H, {.seed = seed}, 2000 + i); }
};
void PrintTo(const Drawn& drawn, std::ostream* out) {
  *out << drawn.type << " " << drawn.yaml << ", I " << drawn.I << ", T " << drawn.steps << ", N " << drawn.samples
       << (drawn.lengths.empty() ? "" : ", with lengths");
}

Drawn draw(const std::string& type, std::uint64_t seed) {
  const Stream stream(seed, Purpose::check, 7);
  std::uint64_t drawn = 0;
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(stream.below(drawn++, n)); };
  Drawn made;
  made.type = type;
  made.seed = seed;
  made.I = 1 + below(5), made.H = 1 + below(9), made.steps = 1 + below(6), made.samples = 1 + below(4);
  made.is_bidirectional = below(2) == 1;
  made.is_last = below(2) == 1;
  made.is_stateful = !made.is_bidirectional && below(2) == 1;
  made.has_bias = below(4) != 0;
  made.is_relu = type == "rnn" && below(2) == 1;
  if (below(2) == 1)
    for (std::int64_t n = 0; n < made.samples; ++n)
      made.lengths.push_back(1 + below(static_cast<std::uint64_t>(made.steps)));
  made.yaml = "{units: " + std::to_string(made.H) + (made.is_bidirectional ? ", bidirectional: true" : "") +
              (made.is_last ? ", output: last" : "") + (made.is_stateful ? ", stateful: true" : "") +
              (made.has_bias ? "" : ", bias: false") + (made.is_relu ? ", nonlinearity: relu" : "") + "}";
  return made;
}

std::vector<Drawn> draw_all() {
  std::vector<Drawn> layers;
  for (const char* type : {"rnn", "lstm", "gru"})
    for (std::uint64_t seed = 0; seed < 40; ++seed) layers.push_back(draw(type, 1000 * layers.size() + seed));
  return layers;
}

/// z as the header writes it, sum by sum, and how near a pre-activation comes to 0 (the kink of relu).
struct Defined {
  Numbers z;
  double nearest = std::numeric_limits<double>::infinity();
};

Defined by_definition(const Drawn& layer, const testing::Operands& operands) {
  const std::int64_t N = layer.samples, T = layer.steps, I = layer.I, H = layer.H, G = layer.gates();
  const std::int64_t D = layer.is_bidirectional ? 2 : 1;
  const auto at = [](const Numbers& numbers, std::int64_t i) { return numbers[static_cast<std::size_t>(i)]; };
  const auto sigma = [](double s) { return 1 / (1 + std::exp(-s)); };
  Defined result;
  result.z.assign(static_cast<std::size_t>(N * D * H * (layer.is_last ? 1 : T)), 0.0);
  for (std::int64_t d = 0; d < D; ++d)
    for (std::int64_t n = 0; n < N; ++n) {
      const auto parameter = [&](std::int64_t i) { return operands.parameters[static_cast<std::size_t>(4 * d + i)]; };
      const Numbers W_ih = parameter(0), W_hh = parameter(1);
      const Numbers none(static_cast<std::size_t>(G * H), 0.0);
      const Numbers b_ih = layer.has_bias ? parameter(2) : none, b_hh = layer.has_bias ? parameter(3) : none;
      Numbers h(static_cast<std::size_t>(H), 0.0), c = h;
      for (std::size_t k = 0; k < h.size() && layer.is_stateful; ++k) {
        h[k] = at(layer.state(0), n * H + static_cast<std::int64_t>(k));
        c[k] = at(layer.state(1), n * H + static_cast<std::int64_t>(k));
      }
      const std::int64_t L = layer.lengths.empty() ? T : layer.lengths[static_cast<std::size_t>(n)];
      for (std::int64_t s = 0; s < L; ++s) {
        const std::int64_t t = d == 0 ? s : L - 1 - s;
        const auto from_x = [&](std::int64_t u) {
          double sum = at(b_ih, u);
          for (std::int64_t i = 0; i < I; ++i) sum += at(W_ih, u * I + i) * at(operands.inputs[0], (n * T + t) * I + i);
          return sum;
        };
        const auto from_h = [&](std::int64_t u) {
          double sum = at(b_hh, u);
          for (std::int64_t i = 0; i < H; ++i) sum += at(W_hh, u * H + i) * at(h, i);
          return sum;
        };
        const auto s_of = [&](std::int64_t gate, std::int64_t k) {
          return from_x(gate * H + k) + from_h(gate * H + k);
        };
        Numbers next = h;
        for (std::int64_t k = 0; k < H; ++k) {
          double& to = next[static_cast<std::size_t>(k)];
          if (layer.type == "lstm") {
            double& cell = c[static_cast<std::size_t>(k)];
            cell = sigma(s_of(1, k)) * cell + sigma(s_of(0, k)) * std::tanh(s_of(2, k));
            to = sigma(s_of(3, k)) * std::tanh(cell);
          } else if (layer.type == "gru") {
            const double r = sigma(s_of(0, k)), z = sigma(s_of(1, k));
            to = (1 - z) * std::tanh(from_x(2 * H + k) + r * from_h(2 * H + k)) + z * at(h, k);
          } else {
            result.nearest = std::min(result.nearest, std::abs(s_of(0, k)));
            to = layer.is_relu ? std::max(0.0, s_of(0, k)) : std::tanh(s_of(0, k));
          }
        }
        h = next;
        for (std::int64_t k = 0; k < H; ++k)
          result.z[static_cast<std::size_t>((layer.is_last ? n * D + d : (n * T + t) * D + d) * H + k)] = at(h, k);
      }
    }
  return result;
}

TEST(RecurrentLayers, DrawnAtRandomAreTheDefinition) {
  for (const Drawn& layer : draw_all()) {
    SCOPED_TRACE(::testing::PrintToString(layer));
    LayerBench bench = layer.bench(DType::float64);
    const auto operands = testing::fill(bench, {.seed = layer.seed});
    expect_close(bench.forward(), by_definition(layer, operands).z, 1e-13, "z");
  }
}

TEST(RecurrentLayers, DrawnAtRandomHaveTrueGradients) {
  int checked = 0;
  for (const Drawn& layer : draw_all()) {
    SCOPED_TRACE(::testing::PrintToString(layer));
    LayerBench bench = layer.bench(DType::float64);
    const auto operands = testing::fill(bench, {.seed = layer.seed});
    // Differences do not see the derivative across a kink.
    if (layer.is_relu && by_definition(layer, operands).nearest < 0.02) continue;
    expect_true_gradients(bench, {.seed = layer.seed});
    ++checked;
  }
  EXPECT_GT(checked, 100);
}

TEST(RecurrentLayers, Float32IsFloat64Rounded) {
  for (const Drawn& layer : draw_all()) {
    SCOPED_TRACE(::testing::PrintToString(layer));
    LayerBench narrow = layer.bench(DType::float32), wide = layer.bench(DType::float64);
    const auto operands = testing::fill(wide, {.seed = layer.seed});
    testing::fill(narrow, {.seed = layer.seed});
    if (layer.is_relu && by_definition(layer, operands).nearest < 1e-4) continue;
    expect_close(narrow.forward(), wide.forward(), 1e-5, "z");
    const auto got = narrow.backward(operands.delta), want = wide.backward(operands.delta);
    expect_close(got.inputs[0], want.inputs[0], 1e-5, "gradient of the input");
    for (std::size_t i = 0; i < got.parameters.size(); ++i)  // next to 100, of which float32 leaves 8e-6
      expect_close(got.parameters[i], want.parameters[i], 1e-4, "gradient of parameter " + std::to_string(i), 1.0);
  }
}

TEST(RecurrentLayers, AnyRangeOfUnitsIsThatPartOfTheWhole) {
  for (const char* type : {"rnn", "lstm", "gru"}) {
    SCOPED_TRACE(type);
    LayerBench bench(type, "{units: 5, bidirectional: true}", {{4, 3}}, 2, DType::float64);
    const auto operands = testing::fill(bench, {});
    bench.forward();
    const auto whole = bench.backward(operands.delta);
    const std::int64_t units = bench.plan().gradient_units;
    for (std::int64_t begin = 0; begin < units; begin += 3) {
      const std::int64_t end = std::min(begin + 4, units);
      const auto part = bench.backward(operands.delta, begin, end);
      for (std::size_t p = 0; p < part.parameters.size(); ++p) {
        const std::int64_t width = static_cast<std::int64_t>(part.parameters[p].size()) / units;
        Numbers want(part.parameters[p].size(), 0.0);
        std::copy(whole.parameters[p].begin() + begin * width, whole.parameters[p].begin() + end * width,
                  want.begin() + begin * width);
        expect_close(part.parameters[p], want, 1e-12, "gradient of parameter " + std::to_string(p));
      }
    }
  }
}

TEST(RecurrentLayers, SizesWhoseRowsArePaddedAreNoOthers) {
  // 512 elements a row: kept apart in `packed`, for inputs and for hidden states.
  for (const char* type : {"rnn", "lstm", "gru"})
    for (const std::int64_t I : {2, 512}) {
      Drawn layer{.type = type, .I = I, .H = I == 2 ? 512 : 3, .steps = 3, .samples = 2, .has_bias = true, .seed = 5};
      layer.yaml = "{units: " + std::to_string(layer.H) + "}";
      SCOPED_TRACE(::testing::PrintToString(layer));
      LayerBench bench = layer.bench(DType::float64);
      auto operands = testing::fill(bench, {.seed = layer.seed});
      // Sums of 512 terms would drive every gate into its limit.
      for (Numbers& numbers : operands.parameters)
        for (double& number : numbers) number *= 0.05;
      for (std::size_t i = 0; i < operands.parameters.size(); ++i) bench.parameter(i, operands.parameters[i]);
      expect_close(bench.forward(), by_definition(layer, operands).z, 1e-13, "z");
      const Numbers d_x = bench.backward(operands.delta).inputs[0];
      // ∂C/∂x along one direction that mixes all elements.
      const Numbers way = testing::random_numbers(static_cast<std::int64_t>(d_x.size()), {.seed = 6}, 0);
      const auto moved = [&](double h) {
        Numbers x = operands.inputs[0];
        for (std::size_t i = 0; i < x.size(); ++i) x[i] += h * way[i];
        const Numbers z = bench.input(0, x).forward();
        return std::inner_product(z.begin(), z.end(), operands.delta.begin(), 0.0);
      };
      const double h = 1e-5, want = (moved(h) - moved(-h)) / (2 * h);
      EXPECT_NEAR(std::inner_product(way.begin(), way.end(), d_x.begin(), 0.0), want, 1e-7 * std::abs(want) + 1e-7);
    }
}

/// Steps [begin, end) of every sample.
Numbers cut(const Numbers& numbers, std::int64_t samples, std::int64_t steps, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = static_cast<std::int64_t>(numbers.size()) / (samples * steps);
  Numbers part;
  for (std::int64_t n = 0; n < samples; ++n)
    part.insert(part.end(), numbers.begin() + (n * steps + begin) * width, numbers.begin() + (n * steps + end) * width);
  return part;
}

TEST(RecurrentLayers, TruncationIsShortSequencesThatHandOverTheirState) {
  // The truth of bptt: 2: sequences of two steps, one after the other, each beginning where the last one ended.
  constexpr std::int64_t N = 3, T = 5, I = 2, k = 2;
  for (const char* type : {"rnn", "lstm", "gru"}) {
    SCOPED_TRACE(type);
    LayerBench whole(type, "{units: 4, bptt: 2}", {{T, I}}, N, DType::float64);
    const auto operands = testing::fill(whole, {});
    const Numbers z = whole.forward();
    const auto gradients = whole.backward(operands.delta);
    std::vector<Numbers> state, sums(operands.parameters.size());
    for (std::int64_t t = 0; t < T; t += k) {
      const std::int64_t end = std::min(t + k, T);
      LayerBench part(type, "{units: 4, stateful: true}", {{end - t, I}}, N, DType::float64);
      part.input(0, cut(operands.inputs[0], N, T, t, end));
      for (std::size_t i = 0; i < operands.parameters.size(); ++i)
        if (!operands.parameters[i].empty()) part.parameter(i, operands.parameters[i]);
      for (std::size_t i = 0; i < state.size(); ++i) part.state(i, state[i]);
      expect_close(part.forward(), cut(z, N, T, t, end), 1e-14, "z");
      const auto of_part = part.backward(cut(operands.delta, N, T, t, end));
      expect_close(cut(gradients.inputs[0], N, T, t, end), of_part.inputs[0], 1e-14, "gradient of the input");
      for (std::size_t i = 0; i < sums.size(); ++i) {
        sums[i].resize(of_part.parameters[i].size());
        for (std::size_t e = 0; e < sums[i].size(); ++e) sums[i][e] += of_part.parameters[i][e];
      }
      part.update_state();
      state.clear();
      for (std::size_t i = 0; i < part.plan().state.size(); ++i) state.push_back(part.state(i));
    }
    for (std::size_t i = 0; i < sums.size(); ++i)
      expect_close(gradients.parameters[i], sums[i], 1e-12, "gradient of parameter " + std::to_string(i));
  }
}

TEST(RecurrentLayers, TruncationOfTheReverseDirectionIsThatOfTheMirroredSequence) {
  constexpr std::int64_t N = 2, T = 6, I = 3, H = 4;  // 3 divides 6, so that the borders mirror onto each other
  for (const char* type : {"rnn", "lstm", "gru"}) {
    SCOPED_TRACE(type);
    LayerBench both(type, "{units: 4, bptt: 3, bidirectional: true}", {{T, I}}, N, DType::float64);
    const auto operands = testing::fill(both, {});
    both.forward();
    const auto want = both.backward(operands.delta);
    Numbers sum(want.inputs[0].size(), 0.0);
    for (std::size_t d : {0u, 1u}) {
      const auto mirrored = [&](Numbers numbers) {
        const std::int64_t width = static_cast<std::int64_t>(numbers.size()) / (N * T);
        for (std::int64_t n = 0; n < N && d == 1; ++n)
          for (std::int64_t t = 0; t < T / 2; ++t)
            std::swap_ranges(numbers.begin() + (n * T + t) * width, numbers.begin() + (n * T + t + 1) * width,
                             numbers.begin() + (n * T + T - 1 - t) * width);
        return numbers;
      };
      Numbers delta;
      for (std::int64_t row = 0; row < N * T; ++row) {
        const auto begin = operands.delta.begin() + (row * 2 + static_cast<std::int64_t>(d)) * H;
        delta.insert(delta.end(), begin, begin + H);
      }
      LayerBench one(type, "{units: 4, bptt: 3}", {{T, I}}, N, DType::float64);
      one.input(0, mirrored(operands.inputs[0]));
      for (std::size_t i = 0; i < 4; ++i) one.parameter(i, operands.parameters[4 * d + i]);
      one.forward();
      const auto got = one.backward(mirrored(delta));
      for (std::size_t i = 0; i < 4; ++i) expect_close(got.parameters[i], want.parameters[4 * d + i], 1e-12, "θ");
      const Numbers d_x = mirrored(got.inputs[0]);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += d_x[i];
    }
    expect_close(want.inputs[0], sum, 1e-13, "gradient of the input");
  }
}

TEST(RecurrentLayers, StateGoesOnWhereTheBatchBeforeEnded) {
  // Two batches of 3 steps are one of 6; the second sample of the first batch has 1 step only.
  for (const char* type : {"rnn", "lstm", "gru"})
    for (const char* output : {"sequence", "last"}) {
      SCOPED_TRACE(std::string(type) + " " + output);
      const std::string yaml = std::string("{units: 4, output: ") + output;
      LayerBench whole(type, yaml + "}", {{6, 2}}, 2, DType::float64);
      LayerBench half(type, yaml + ", stateful: true}", {{3, 2}}, 2, DType::float64);
      const auto operands = testing::fill(whole, {});
      for (std::size_t i = 0; i < operands.parameters.size(); ++i)
        if (!operands.parameters[i].empty()) half.parameter(i, operands.parameters[i]);
      const Numbers x = operands.inputs[0], first = cut(x, 2, 6, 0, 3), second = cut(x, 2, 6, 3, 6);
      half.input(0, first).lengths({3, 1}).forward();
      half.update_state();
      half.input(0, second).lengths({3, 3});
      Numbers joined(x.begin(), x.begin() + 12);                    // sample 0: all six steps
      joined.insert(joined.end(), x.begin() + 12, x.begin() + 14);  // sample 1: its first, then the last three
      joined.insert(joined.end(), x.begin() + 18, x.begin() + 24);
      joined.resize(x.size());
      const Numbers want = whole.input(0, joined).lengths({6, 4}).forward(), got = half.forward();
      if (std::string(output) == "last") {
        expect_near(got, want, DType::float64);
      } else {
        Numbers z(want.begin() + 12, want.begin() + 24);
        z.insert(z.end(), want.begin() + 28, want.begin() + 40);
        expect_near(got, z, DType::float64);
      }
    }
}

TEST_P(Recurrent, StepsBeyondTheLengthAreNothing) {
  for (const char* type : {"rnn", "lstm", "gru"}) {
    SCOPED_TRACE(type);
    LayerBench bench(type, "{units: 2, bidirectional: true}", {{3, 2}}, 2, dtype());
    auto operands = testing::fill(bench, {});
    bench.lengths({1, 3});
    const Numbers z = bench.forward();
    for (std::size_t i = 4; i < 12; ++i) operands.delta[i] = std::numeric_limits<double>::quiet_NaN();
    const auto gradients = bench.backward(operands.delta);
    const auto expect_nothing = [](const Numbers& numbers, const std::string& what) {
      const auto width = static_cast<std::ptrdiff_t>(numbers.size()) / 6;
      EXPECT_TRUE(std::all_of(numbers.begin() + width, numbers.begin() + 3 * width, [](double x) { return x == 0; }))
          << what;
      EXPECT_TRUE(std::none_of(numbers.begin() + 3 * width, numbers.end(), [](double x) { return std::isnan(x); }))
          << what;
    };
    expect_nothing(z, "z");
    expect_nothing(gradients.inputs[0], "gradient of the input");
    for (std::size_t i = 0; i < bench.plan().saved.size(); ++i)
      expect_nothing(bench.saved(i), bench.plan().saved[i].name);
    for (const Numbers& gradient : gradients.parameters)
      EXPECT_TRUE(std::none_of(gradient.begin(), gradient.end(), [](double x) { return std::isnan(x); }));
  }
}

TEST(RecurrentLayers, ASampleHasTheSameBitsInAnyCall) {
  // 20 units are no whole number of vectors; 33 rows no whole number of any kernel's.
  for (const char* type : {"rnn", "lstm", "gru"}) {
    SCOPED_TRACE(type);
    constexpr std::int64_t N = 33, T = 4, I = 7;
    LayerBench whole(type, "{units: 20, bidirectional: true}", {{T, I}}, N, DType::float64);
    const auto operands = testing::fill(whole, {});
    const Numbers z = whole.forward();
    for (std::int64_t begin = 0, count = 1; begin < N; begin += count, count = std::min(2 * count, N - begin)) {
      LayerBench part(type, "{units: 20, bidirectional: true}", {{T, I}}, count, DType::float64);
      part.input(
          0, Numbers(operands.inputs[0].begin() + begin * T * I, operands.inputs[0].begin() + (begin + count) * T * I));
      for (std::size_t i = 0; i < operands.parameters.size(); ++i) part.parameter(i, operands.parameters[i]);
      EXPECT_EQ(part.forward(), Numbers(z.begin() + begin * T * 40, z.begin() + (begin + count) * T * 40));
    }
  }
}

TEST_P(Recurrent, NaNStaysNaN) {
  for (const char* type : {"rnn", "lstm", "gru"}) {
    SCOPED_TRACE(type);
    LayerBench bench(type, "{units: 3}", {{2, 1}}, 2, dtype());
    testing::fill(bench, {});
    bench.input(0, {std::numeric_limits<double>::quiet_NaN(), 1, 1, 1});
    const Numbers z = bench.forward();
    for (std::size_t i = 0; i < 6; ++i) EXPECT_TRUE(std::isnan(z[i])) << i;
    for (std::size_t i = 6; i < 12; ++i) EXPECT_TRUE(std::isfinite(z[i])) << i;
  }
}

TEST(RecurrentLayers, ShapesAndTaps) {
  const auto shapes = [](const std::string& type, const std::string& yaml) {
    LayerBench bench(type, yaml, {{5, 3}}, 1, DType::float32);
    std::string text = ::testing::PrintToString(bench.plan().output);
    for (const SavedTensor& saved : bench.plan().saved)
      text += " " + saved.name + ::testing::PrintToString(saved.sample_shape);
    return text;
  };
  EXPECT_EQ(shapes("rnn", "{units: 2, output: last}"),
            "{ 2 } gates{ 5, 2 } hidden_before{ 5, 2 } delta_gates{ 5, 2 } delta_hidden{ 5, 2 }");
  EXPECT_EQ(shapes("lstm", "{units: 2}"),
            "{ 5, 2 } gates{ 5, 8 } hidden_before{ 5, 2 } delta_gates{ 5, 8 } delta_hidden{ 5, 2 } cell{ 5, 2 }");
  EXPECT_EQ(shapes("gru", "{units: 2, bidirectional: true, output: last}"),
            "{ 4 } gates{ 5, 12 } hidden_before{ 5, 4 } delta_gates{ 5, 12 } delta_hidden{ 5, 4 } gated{ 5, 4 } "
            "delta_gated{ 5, 4 } hidden{ 5, 4 }");
  LayerBench lstm("lstm", "{units: 2, bidirectional: true}", {{5, 3}}, 1, DType::float32);
  EXPECT_EQ(lstm.plan().parameters.size(), 8u);
  EXPECT_EQ(lstm.plan().parameters[4].shape, (Shape{8, 3}));
  EXPECT_EQ(lstm.plan().parameters[5].shape, (Shape{8, 2}));
}

TEST(RecurrentLayers, HiddenOfALastOutputIsTheSequence) {
  for (const char* type : {"lstm", "gru"}) {
    LayerBench last(type, "{units: 3, output: last, bidirectional: true}", {{4, 2}}, 2, DType::float64);
    LayerBench sequence(type, "{units: 3, bidirectional: true}", {{4, 2}}, 2, DType::float64);
    testing::fill(last, {}), testing::fill(sequence, {});
    last.lengths({2, 4}).forward();
    EXPECT_EQ(tap(last, "hidden"), sequence.lengths({2, 4}).forward()) << type;
  }
}

/// Two layers, the first in both directions, on sequences of different lengths; 20 samples in slices of 7.
testing::ExperimentText two_layers(const std::string& second, const char* dtype) {
  return {.data = "synthetic: {random: {inputs: [5, 3], targets: 2, samples: 40, lengths: true}}",
          .layers = "{gru: {units: 20, bidirectional: true, activation: tanh}}, {" + second + "}, {dense: {units: 2}}",
          .train = "steps: 6, batch_size: 20, slice: 7, optimizer: {momentum: {lr: 0.05}}",
          .dtype = dtype};
}

TEST(RecurrentNetworks, HaveTheGradientsThatDifferencesConfirm) {
  for (const char* second : {"lstm: {units: 6, output: last}", "rnn: {units: 6, output: last, bidirectional: true}"}) {
    testing::Lab lab(two_layers(second, "float64"), 2);
    for (const GradientFinding& finding : check_gradients(lab.model.network, lab.model.data, lab.model.loss, lab.arena,
                                                          {.samples = 8, .elements = 48, .seed = 3})) {
      SCOPED_TRACE(finding.layer + "/" + finding.parameter);
      EXPECT_GT(finding.checked, 0);
      EXPECT_LT(finding.worst_error, 1e-7);
      EXPECT_LT(finding.direction_error, 1e-8);
    }
  }
}

TEST(RecurrentNetworks, TrainToTheSameBitsOnAnyNumberOfThreads) {
  for (const char* dtype : {"float32", "float64"}) {
    std::string expected, before;
    for (const int threads : {1, 2, 5}) {
      testing::Lab lab(two_layers("lstm: {units: 6, output: last, bptt: 2}", dtype), threads);
      before = lab.model.network.weights_digest();
      lab.run();
      if (threads == 1) expected = lab.model.network.weights_digest();
      EXPECT_EQ(lab.model.network.weights_digest(), expected) << dtype << ", " << threads << " threads";
    }
    EXPECT_NE(expected, before) << "nothing was trained";
  }
}

TEST(RecurrentLayers, SayWhatTheyCannotDo) {
  const auto error = [](const std::string& yaml, const Shape& input) {
    return testing::user_error_of([&] { LayerBench("lstm", yaml, {input}, 1, DType::float32); });
  };
  EXPECT_NE(error("{units: 2}", {28, 28, 1}).find("layer 'bench': wants a sequence [T, F], got [28, 28, 1]"),
            std::string::npos);
  EXPECT_NE(error("{units: 2}", {784}).find("wants a sequence [T, F], got [784]"), std::string::npos);
  EXPECT_NE(error("{units: 2, stateful: true, bidirectional: true}", {4, 2}).find("exclude each other"),
            std::string::npos);
}

}  // namespace
}  // namespace backplane
