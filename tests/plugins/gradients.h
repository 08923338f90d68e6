#pragma once

// Are a layer's gradients those of its forward? Compared with central differences, element by element, in float64.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "plugins/bench.h"
#include "random/permutation.h"
#include "random/philox.h"

namespace backplane::testing {

/// How a bench is filled.
struct Draw {
  std::uint64_t seed = 1;
  /// No two elements of an input closer than 0.05, none closer to 0 than 0.025: for layers with kinks at ties (a
  /// maximum) or at 0. Otherwise standard normal.
  bool apart = false;
};

/// `count` numbers that float32 holds exactly, so that both element types can be given the same.
inline Numbers random_numbers(std::int64_t count, const Draw& draw, std::uint64_t which) {
  const Stream stream(draw.seed, Purpose::check, which);
  Numbers numbers(static_cast<std::size_t>(count));
  if (draw.apart) {
    const auto ranks = permutation(count, stream);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = 0.05 * (static_cast<double>(ranks[i] - count / 2) + 0.5);
  } else {
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = stream.normal(i);
  }
  for (double& number : numbers) number = static_cast<float>(number);
  return numbers;
}

/// What a bench was filled with, and the δ to go with it.
struct Operands {
  std::vector<Numbers> inputs, parameters;  ///< parameters: in declared order, empty where there is none
  Numbers delta;
};

/// The same numbers for the same draw and shapes, whatever the element type.
inline Operands fill(LayerBench& bench, const Draw& draw) {
  Operands operands;
  for (std::size_t i = 0; i < bench.input_count(); ++i) {
    operands.inputs.push_back(random_numbers(bench.input_size(i), draw, i));
    bench.input(i, operands.inputs.back());
  }
  for (const PlannedParameter& planned : bench.plan().parameters) {
    const auto i = static_cast<std::size_t>(planned.declared);
    operands.parameters.resize(std::max(operands.parameters.size(), i + 1));
    operands.parameters[i] = random_numbers(element_count(planned.shape), {.seed = draw.seed}, 100 + i);
    bench.parameter(i, operands.parameters[i]);
  }
  operands.delta = random_numbers(bench.samples() * element_count(bench.plan().output), {.seed = draw.seed}, 1000);
  return operands;
}

inline double largest_of(const Numbers& numbers) {
  double largest = 0.0;
  for (const double number : numbers) largest = std::max(largest, std::abs(number));
  return largest;
}

/// Every element within `tolerance` times the largest of `want`, or times `least` where all are smaller than that.
inline void expect_close(const Numbers& got, const Numbers& want, double tolerance, const std::string& what,
                         double least = 1e-3) {
  ASSERT_EQ(got.size(), want.size()) << what;
  const double allowed = tolerance * std::max(largest_of(want), least);
  std::size_t wrong = 0, worst = 0;
  const auto error = [&](std::size_t i) { return std::abs(got[i] - want[i]); };
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!(error(i) <= allowed)) ++wrong;
    if (error(i) > error(worst) || std::isnan(error(i))) worst = i;
  }
  if (wrong == 0) return;
  ADD_FAILURE() << what << ": " << wrong << " of " << got.size() << " elements are wrong; the worst is element "
                << worst << ": " << got[worst] << " where " << want[worst] << " is right (allowed: ± " << allowed << ")"
                << (got[worst] == BenchTensor::kRubbish ? "; it was never written" : "");
}

/// ∂L/∂x for L = Σ delta·z, by central differences of steps h and h/2, combined so that the error of order h² cancels
/// (Richardson 1911). `set` puts numbers in the place of x.
template <class Set>
Numbers differences(LayerBench& bench, const Numbers& delta, Numbers x, const Set& set) {
  constexpr double h = 1e-3;
  const auto slope = [&](std::size_t i, double step) {
    const double centre = x[i];
    x[i] = centre + step, set(x);
    const Numbers above = bench.forward();
    x[i] = centre - step, set(x);
    const Numbers below = bench.forward();
    x[i] = centre;
    // numerics: differences first, since most of z stays as it was and would only add rounding.
    double sum = 0.0;
    for (std::size_t k = 0; k < delta.size(); ++k) sum += delta[k] * (above[k] - below[k]);
    return sum / (2.0 * step);
  };
  Numbers result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) result[i] = (4.0 * slope(i, h / 2) - slope(i, h)) / 3.0;
  set(x);
  return result;
}

/// Fills a float64 bench and compares every element of every gradient of L = Σ δ·z with differences of forward, to
/// 1e-7 of the tensor's largest. That inputs' gradients are written, and parameters' added to what stands there, the
/// bench sees to: what it puts there beforehand would be off by far more. Elements of inputs that `skip` names (a mask,
/// an index) are left out.
inline void expect_true_gradients(LayerBench& bench, const Draw& draw = {}, const std::vector<std::size_t>& skip = {}) {
  const Operands operands = fill(bench, draw);
  bench.forward();
  const auto gradients = bench.backward(operands.delta);
  for (std::size_t i = 0; i < operands.inputs.size(); ++i) {
    if (std::find(skip.begin(), skip.end(), i) != skip.end()) continue;
    const Numbers want = differences(bench, operands.delta, operands.inputs[i],
                                     [&](const Numbers& numbers) { bench.input(i, numbers); });
    expect_close(gradients.inputs[i], want, 1e-7, "gradient of input " + std::to_string(i));
  }
  for (std::size_t i = 0; i < operands.parameters.size(); ++i) {
    if (operands.parameters[i].empty()) continue;
    const Numbers want = differences(bench, operands.delta, operands.parameters[i],
                                     [&](const Numbers& numbers) { bench.parameter(i, numbers); });
    expect_close(gradients.parameters[i], want, 1e-7, "gradient of parameter " + std::to_string(i));
  }
}

}  // namespace backplane::testing
