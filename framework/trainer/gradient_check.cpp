#include "trainer/gradient_check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <span>

#include "base/error.h"
#include "random/permutation.h"
#include "trainer/executor.h"

namespace backplane {

namespace {

/// dC/dh at 0 of `C(h)`, or nothing where the estimates of shrinking steps do not agree, or 0 itself is a kink.
/// `scale`: the size of derivative below which differences do not matter.
std::optional<double> derivative(const std::function<double(double)>& C, double scale) {
  constexpr std::array kSteps{1e-1, 1e-2, 1e-3, 1e-4};
  constexpr double kAgreement = 1e-8, kKink = 1e-5;
  const double at_zero = C(0.0);
  for (const double h : kSteps) {
    // The mean of the slopes to both sides, and their difference: of a smooth C that shrinks with the step.
    struct Slopes {
      double mean, difference;
    };
    const auto slopes = [&](double step) {
      const double ahead = C(step), behind = C(-step);
      return Slopes{(ahead - behind) / (2.0 * step), (ahead - 2.0 * at_zero + behind) / step};
    };
    const Slopes s1 = slopes(h), s2 = slopes(h / 2), s4 = slopes(h / 4);
    const double r1 = (4.0 * s2.mean - s1.mean) / 3.0, r2 = (4.0 * s4.mean - s2.mean) / 3.0;
    const double best = (16.0 * r2 - r1) / 15.0;
    // Too long a step, a kink within it, or rounding of C all show as a difference of the two extrapolations.
    if (std::abs(r2 - r1) > kAgreement * std::max(std::abs(best), scale)) continue;
    const double jump = std::abs(s4.difference);
    const bool shrinks = jump < 0.75 * std::max(std::abs(s1.difference), std::abs(s2.difference));
    if (!shrinks && jump > kKink * std::max(std::abs(best), scale)) return std::nullopt;
    return best;
  }
  return std::nullopt;
}

class GradientCheck {
 public:
  GradientCheck(Network& network, const DataSet& data, const Loss& loss, Arena& arena,
                const GradientCheckOptions& options)
      : network_(network),
        options_(options),
        indices_(static_cast<std::size_t>(std::min(options.samples, data.train.count))),
        batch_{.data = &data,
               .samples = &data.train,
               .indices = indices_.data(),
               .count = static_cast<std::int64_t>(indices_.size()),
               .is_start = true},
        executor_(network, loss, no_metrics_, arena, batch_.count, kSliceRows, options.seed) {
    BP_ASSERT(network.dtype() == DType::float64);
    std::iota(indices_.begin(), indices_.end(), 0);
    leave_kinks();
    executor_.forward_backward(batch_, kStep, Gradients::all);
    executor_.for_each_gradient_tile(Gradients::all, Keep::yes, [](const Tile&) {});
    for (std::size_t node = 0; node < network_.nodes().size(); ++node)
      for (std::size_t p = 0; p < network_.nodes()[node].parameters.size(); ++p)
        for (const double g : gradient(node, p)) largest_gradient_ = std::max(largest_gradient_, std::abs(g));
  }

  ~GradientCheck() {
    auto original = originals_.begin();
    for (LayerNode& node : network_.nodes())
      for (Parameter& parameter : node.parameters) {
        std::ranges::copy(*original, parameter.value.as<double>());
        ++original;
      }
  }
  GradientCheck(const GradientCheck&) = delete;
  GradientCheck& operator=(const GradientCheck&) = delete;

  std::vector<GradientFinding> operator()() {
    std::vector<GradientFinding> findings;
    for (std::size_t node = 0; node < network_.nodes().size(); ++node)
      for (std::size_t p = 0; p < network_.nodes()[node].parameters.size(); ++p) findings.push_back(check(node, p));
    return findings;
  }

 private:
  static constexpr std::int64_t kSliceRows = 3;  // several slices, one of them smaller
  static constexpr std::uint64_t kStep = 1;
  static constexpr double kNegligible = 1e-6;  ///< of the network's largest gradient element

  std::span<const double> gradient(std::size_t node, std::size_t p) {
    return {static_cast<const double*>(executor_.gradient(node, p)),
            static_cast<std::size_t>(network_.nodes()[node].parameters[p].count)};
  }

  void leave_kinks() {
    constexpr double kDeviation = 0.05;
    for (std::size_t node = 0; node < network_.nodes().size(); ++node) {
      std::vector<Parameter>& parameters = network_.nodes()[node].parameters;
      for (std::size_t p = 0; p < parameters.size(); ++p) {
        const std::span values(parameters[p].value.as<double>(), static_cast<std::size_t>(parameters[p].count));
        originals_.emplace_back(values.begin(), values.end());
        const Stream stream(options_.seed, Purpose::check, node, 2000 + p);
        for (std::size_t i = 0; i < values.size(); ++i) values[i] += kDeviation * stream.normal(i);
      }
      executor_.pack_layer(node);
    }
  }

  GradientFinding check(std::size_t node, std::size_t p) {
    LayerNode& layer = network_.nodes()[node];
    Parameter& parameter = layer.parameters[p];
    const std::span<const double> view = gradient(node, p);
    const std::vector<double> gradient(view.begin(), view.end());
    double largest = 0.0;
    for (const double g : gradient) largest = std::max(largest, std::abs(g));
    // numerics: a gradient that is 0 but for rounding (a bias before batch normalisation) is compared with the others'.
    const double scale = std::max({1e-3 * largest, kNegligible * largest_gradient_, 1e-10});

    GradientFinding finding{.layer = layer.name(), .parameter = parameter.name, .shape = parameter.shape};
    double* values = parameter.value.as<double>();
    for (const std::int64_t i : chosen_elements(parameter.count, node, p)) {
      const double original = values[i];
      const auto numeric = derivative([&](double h) { return values[i] = original + h, loss(node); }, scale);
      values[i] = original;
      if (!numeric) {
        ++finding.at_kinks;
        continue;
      }
      ++finding.checked;
      const double a = gradient[static_cast<std::size_t>(i)];
      const double error = std::abs(a - *numeric) / std::max({std::abs(a), std::abs(*numeric), scale});
      if (error >= finding.worst_error || !std::isfinite(error))
        finding.worst_error = error, finding.worst_element = i, finding.analytic = a, finding.numeric = *numeric;
    }
    check_direction(node, p, gradient, finding);
    loss(node);  // packed parameters are as they were, too
    return finding;
  }

  /// g·v against dC along v, for a random unit vector v: looks at every element at once.
  void check_direction(std::size_t node, std::size_t p, const std::vector<double>& gradient, GradientFinding& finding) {
    Parameter& parameter = network_.nodes()[node].parameters[p];
    const std::span values(parameter.value.as<double>(), static_cast<std::size_t>(parameter.count));
    const std::vector<double> original(values.begin(), values.end());
    const Stream stream(options_.seed, Purpose::check, node, p + 1);
    std::vector<double> direction(values.size());
    const double length = 1.0 / std::sqrt(static_cast<double>(values.size()));
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] = stream.bits(i) % 2 == 0 ? length : -length;
    const double analytic = std::inner_product(direction.begin(), direction.end(), gradient.begin(), 0.0);
    const double norm = std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0));
    const double scale = std::max({norm * length, kNegligible * largest_gradient_, 1e-10});
    const auto numeric = derivative(
        [&](double h) {
          for (std::size_t i = 0; i < values.size(); ++i) values[i] = original[i] + h * direction[i];
          return loss(node);
        },
        scale);
    std::copy(original.begin(), original.end(), values.begin());
    finding.is_direction_checked = numeric.has_value();
    if (numeric)
      finding.direction_error =
          std::abs(analytic - *numeric) / std::max({std::abs(analytic), std::abs(*numeric), scale});
  }

  /// C with the parameters of layer `changed` as they are now.
  double loss(std::size_t changed) {
    executor_.pack_layer(changed);
    return executor_.forward(batch_, Mode::training, kStep).loss_sum / static_cast<double>(batch_.count);
  }

  std::vector<std::int64_t> chosen_elements(std::int64_t count, std::size_t node, std::size_t p) const {
    std::vector<std::int64_t> elements;
    if (count <= options_.elements) {
      elements.resize(static_cast<std::size_t>(count));
      std::iota(elements.begin(), elements.end(), 0);
      return elements;
    }
    const Stream stream(options_.seed, Purpose::check, node, 1000 + p);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(options_.elements); ++i)
      elements.push_back(static_cast<std::int64_t>(stream.below(i, static_cast<std::uint64_t>(count))));
    return elements;
  }

  Network& network_;
  const GradientCheckOptions options_;
  std::vector<std::int64_t> indices_;
  const Batch batch_;
  const MetricSet no_metrics_;
  Executor executor_;
  double largest_gradient_ = 0.0;
  std::vector<std::vector<double>> originals_;  ///< of each parameter of each layer, in their order
};

}  // namespace

std::vector<GradientFinding> check_gradients(Network& network, const DataSet& data, const Loss& loss, Arena& arena,
                                             const GradientCheckOptions& options) {
  return GradientCheck(network, data, loss, arena, options)();
}

}  // namespace backplane
