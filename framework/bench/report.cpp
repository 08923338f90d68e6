#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace backplane {

namespace {

using nlohmann::ordered_json;

ordered_json to_json(const Interval& interval) {
  return {{"median", interval.median}, {"low", interval.low}, {"high", interval.high}};
}

ordered_json to_json(const Ledger& ledger) {
  ordered_json json;
  for (int work = 0; work < kWorks; ++work) json[name_of(static_cast<Work>(work))] = ledger.of(static_cast<Work>(work));
  json["imbalance"] = ledger.imbalance;
  json["serial"] = ledger.serial;
  json["whole"] = ledger.whole();
  return json;
}

/// Where numbers of threads and speed-ups lie on the picture; both axes are logarithmic.
class Axes {
 public:
  explicit Axes(double most) : most_(std::max(2.0, most)) {}

  double x(double threads) const { return kLeft + kWidth * std::log2(threads) / std::log2(most_); }
  double y(double speedup) const {
    return kTop + kHeight * (1.0 - std::log2(std::clamp(speedup, 0.5, most_) * 2.0) / std::log2(most_ * 2.0));
  }
  double most() const { return most_; }

  static constexpr double kLeft = 60, kTop = 50, kWidth = 480, kHeight = 360;

 private:
  double most_;
};

std::string line(const std::string& points, const char* colour, const char* dashes) {
  return fmt::format(R"(<polyline points="{}" fill="none" stroke="{}" stroke-width="2" stroke-dasharray="{}"/>)"
                     "\n",
                     points, colour, dashes);
}

std::string text(double x, double y, const char* anchor, const std::string& what) {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>)"
                     "\n",
                     x, y, anchor, what);
}

std::string escaped(const std::string& title) {
  std::string safe;
  for (const char c : title) safe += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return safe;
}

}  // namespace

ordered_json to_json(const BenchResult& result, const BenchOptions& options) {
  ordered_json json{{"environment", ordered_json::parse(result.environment)},
                    {"scaling", options.is_weak ? "weak" : "strong"},
                    {"repetitions", options.repetitions},
                    {"steps_per_turn", result.steps_per_turn},
                    {"slice_rows", result.slice_rows},
                    {"base_threads", result.rows.front().threads}};
  for (const BenchRow& row : result.rows) {
    ordered_json& to = json["rows"].emplace_back(ordered_json{{"threads", row.threads},
                                                              {"batch", row.batch},
                                                              {"step_s", to_json(row.step)},
                                                              {"speedup", to_json(row.speedup)},
                                                              {"ledger_s", to_json(row.ledger)},
                                                              {"tensor_bytes", row.tensor_bytes},
                                                              {"weights_digest", row.digest},
                                                              {"same_bits", row.has_same_bits}});
    if (row.kernels) to["kernel_share"] = to_json(*row.kernels);
    if (row.kernel_speedup) to["kernel_speedup"] = to_json(*row.kernel_speedup);
    if (options.disturbed_runs > 0)
      to["disturbed"] = {{"runs", options.disturbed_runs}, {"different", row.disturbed_differences}};
  }
  for (const LayerTime& layer : result.layers)
    json["layers"].push_back({{"name", layer.name},
                              {"forward_s", layer.forward},
                              {"backward_s", layer.backward},
                              {"update_s", layer.update}});
  if (result.law) json["scalability_law"] = {{"sigma", result.law->sigma}, {"kappa", result.law->kappa}};
  if (result.law && result.law->best_threads()) json["scalability_law"]["best_threads"] = *result.law->best_threads();
  for (const Prediction& prediction : result.predictions)
    json["simulated"].push_back({{"threads", prediction.threads}, {"speedup", prediction.speedup}});
  if (!result.predictions.empty()) json["critical_path_s"] = result.critical_path;
  return json;
}

std::string speedup_plot(const BenchResult& result, const std::string& title) {
  double most = 2.0;
  for (const BenchRow& row : result.rows) most = std::max(most, static_cast<double>(row.threads));
  for (const Prediction& prediction : result.predictions)
    most = std::max(most, static_cast<double>(prediction.threads));
  const Axes axes(most);
  const auto point = [&](double threads, double speedup) {
    return fmt::format("{:.1f},{:.1f} ", axes.x(threads), axes.y(speedup));
  };
  std::string svg =
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 480" font-family="sans-serif" font-size="13">)"
      "\n"
      R"(<rect width="640" height="480" fill="white"/>)"
      "\n";
  svg += text(300, 25, "middle", escaped(title));
  for (double n = 1; n <= axes.most(); n *= 2) {
    svg += fmt::format(R"(<path d="M{0:.1f} {1} V{2} M{3} {4:.1f} H{5}" stroke="#ddd"/>)"
                       "\n",
                       axes.x(n), Axes::kTop, Axes::kTop + Axes::kHeight, Axes::kLeft, axes.y(n),
                       Axes::kLeft + Axes::kWidth);
    svg += text(axes.x(n), Axes::kTop + Axes::kHeight + 18, "middle", fmt::format("{}", n));
    svg += text(Axes::kLeft - 8, axes.y(n) + 4, "end", fmt::format("{}", n));
  }
  svg += text(300, 455, "middle", fmt::format("threads (speed-up over {})", result.rows.front().threads));
  const double base = result.rows.front().threads;
  svg += line(point(base, 1) + point(axes.most(), axes.most() / base), "#999", "2 4");
  svg += text(axes.x(axes.most()) + 6, axes.y(axes.most() / base) + 4, "start", "ideal");
  if (result.law) {
    std::string curve;
    for (double n = 1; n <= axes.most() * 1.001; n *= 1.1) curve += point(n, result.law->speedup(n));
    svg += line(curve, "#d95f02", "8 4") +
           text(axes.x(axes.most()) + 6, axes.y(result.law->speedup(axes.most())) + 4, "start", "law");
  }
  if (!result.predictions.empty()) {
    std::vector<Prediction> sorted = result.predictions;
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.threads < b.threads; });
    std::string curve;
    for (const Prediction& prediction : sorted) curve += point(prediction.threads, prediction.speedup);
    svg += line(curve, "#1b9e77", "none") +
           text(axes.x(axes.most()) + 6, axes.y(sorted.back().speedup) + 4, "start", "simulated");
  }
  for (const BenchRow& row : result.rows)
    svg += fmt::format(
        R"(<path d="M{0:.1f} {1:.1f} V{2:.1f}" stroke="#7570b3" stroke-width="2"/><circle cx="{0:.1f}" cy="{3:.1f}" r="4" fill="#7570b3"/>)"
        "\n",
        axes.x(row.threads), axes.y(row.speedup.low), axes.y(row.speedup.high), axes.y(row.speedup.median));
  svg +=
      text(axes.x(result.rows.back().threads) + 8, axes.y(result.rows.back().speedup.median) + 16, "start", "measured");
  return svg + "</svg>\n";
}

}  // namespace backplane
