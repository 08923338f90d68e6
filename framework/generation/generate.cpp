#include "generation/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <variant>

#include "base/error.h"
#include "random/philox.h"

namespace backplane {

namespace {

/// Draws an index with probability proportional to e^(z / temperature).
template <class T>
std::int64_t draw(const T* z, std::int64_t count, double temperature, double uniform) {
  const double largest = *std::max_element(z, z + count);
  std::vector<double> weights(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i)
    weights[static_cast<std::size_t>(i)] = std::exp((z[i] - largest) / temperature);
  double left = uniform * std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::int64_t i = 0; i < count; ++i) {
    left -= weights[static_cast<std::size_t>(i)];
    if (left < 0.0) return i;
  }
  return count - 1;
}

/// Windows of T symbols, spread evenly over a split.
Samples first_windows(const Samples& split, std::int64_t count, std::int64_t T) {
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < count; ++i) chosen.push_back(i * split.count / count);
  return split.subset(chosen, T, 0);
}

}  // namespace

std::vector<GeneratedText> generate_text(const GenerateOptions& options, const DataSet& data, const Network& network,
                                         Executor& executor, std::uint64_t seed,
                                         const std::function<bool()>& is_stop_asked) {
  const std::int64_t T = data.input_shape[0], V = data.classes, F = network.output().output_size / T;
  BP_ASSERT(F >= V);
  const Samples& split = data.test ? *data.test : data.train;
  const std::int64_t count = std::min({options.samples, split.count, executor.capacity()});
  Samples windows = first_windows(split, count, T);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<GeneratedText> texts(static_cast<std::size_t>(count));
  const auto symbol = [&](std::int64_t index) { return data.vocabulary[static_cast<std::size_t>(index)]; };
  std::visit(
      [&](auto& symbols) {
        for (std::int64_t n = 0; n < count; ++n)
          for (std::int64_t t = 0; t < T; ++t)
            texts[static_cast<std::size_t>(n)].prompt +=
                symbol(static_cast<std::int64_t>(symbols[static_cast<std::size_t>(n * T + t)]));
        for (std::int64_t i = 0; i < options.length && !is_stop_asked(); ++i) {
          executor.forward(
              {.data = &data, .samples = &windows, .indices = rows.data(), .count = count, .is_start = true});
          for (std::int64_t n = 0; n < count; ++n) {
            const double uniform =
                Stream(seed, Purpose::generate, static_cast<std::uint64_t>(n)).uniform(static_cast<std::uint64_t>(i));
            const std::int64_t next = dispatch(network.dtype(), [&]<class Real>(Real) {
              const auto* z = static_cast<const Real*>(executor.z(network.nodes().size() - 1));
              return draw(z + (n * T + T - 1) * F, V, options.temperature, uniform);
            });
            const auto begin = symbols.begin() + n * T;
            std::rotate(begin, begin + 1, begin + T);
            *(begin + T - 1) = static_cast<std::decay_t<decltype(*begin)>>(next);
            texts[static_cast<std::size_t>(n)].text += symbol(next);
          }
        }
      },
      windows.inputs);
  return texts;
}

}  // namespace backplane
