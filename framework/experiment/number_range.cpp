#include "experiment/number_range.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>
#include <vector>

namespace backplane {

using config::Node;

namespace {

std::optional<double> number_of(const Node& node) {
  if (!node.is_scalar() || node.quoted || node.scalar.empty()) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(node.scalar.c_str(), &end);
  return *end == '\0' && std::isfinite(number) ? std::optional(number) : std::nullopt;
}

/// Goes through a part of the tree in the order in which it was written.
class RangeCheck {
 public:
  void look_at(const Node& node, const std::string& path, const std::string& key) {
    // Texts, and what is computed in float64 before it is rounded.
    static const std::set<std::string> others{"name", "inputs", "init"};
    if (others.contains(key)) return;
    for (const auto& [name, value] : node.map) look_at(value, path + "." + name, name);
    for (std::size_t i = 0; i < node.list.size(); ++i) look_at(node.list[i], fmt::format("{}[{}]", path, i), key);
    const std::optional<double> number = number_of(node);
    if (!number) return;
    const float rounded = static_cast<float>(*number);
    static const std::set<std::string> decays{"momentum", "decay", "beta1", "beta2"};
    if (std::isinf(rounded))
      report(node, path, "infinite in float32", "its largest number is 3.4e38; dtype: float64 goes to 1.8e308");
    else if (rounded == 0.0f && *number != 0.0)
      report(node, path, "0 in float32", "its least number above 0 is 1.4e-45; dtype: float64 goes down to 4.9e-324");
    else if (decays.contains(key) && *number < 1.0 && rounded == 1.0f)
      report(node, path, "1 in float32", "the next number below 1 is 0.99999994; dtype: float64 has closer ones");
  }

  std::vector<Diagnostic> findings;

 private:
  void report(const Node& node, const std::string& path, const char* what, const char* hint) {
    findings.push_back({.place = node.place,
                        .what = fmt::format("{} is {}", node.scalar, what),
                        .path = path,
                        .nearest = {},
                        .known = {},
                        .hint = hint});
  }
};

}  // namespace

void require_representable(const Node& document, DType dtype) {
  if (dtype == DType::float64) return;
  RangeCheck check;
  check.look_at(document.at("network").at("layers"), "network.layers", "layers");
  for (const char* key : {"optimizer", "clip", "l1", "l2"})
    if (const Node* node = document.at("train").find(key)) check.look_at(*node, std::string("train.") + key, key);
  if (!check.findings.empty()) throw UserError(ExitCode::bad_config, check.findings);
}

}  // namespace backplane
