#include "data/findings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/printable.h"
#include "data/dataset.h"

namespace backplane {

namespace {

constexpr std::size_t kMostShown = 6;
constexpr std::size_t kLongestShown = 96;

std::string text_of(const std::string& text) {
  return printable(text.size() > kLongestShown ? text.substr(0, kLongestShown) + "…" : text);
}
template <class Number>
std::string text_of(Number number) {
  return fmt::format("{}", number);
}
std::string text_of(double number) {
  return fmt::format("{:.6g}", number);
}

template <class T>
std::string text_of(const std::vector<T>& items) {
  std::vector<std::string> first;
  for (std::size_t i = 0; i < std::min(items.size(), kMostShown); ++i) first.push_back(text_of(items[i]));
  const std::string text = fmt::format("{}", fmt::join(first, ", "));
  return items.size() > kMostShown ? fmt::format("{}, … ({} in all)", text, items.size()) : text;
}

/// Of the valid steps alone: nothing is learned from what follows them.
void add_range(const std::string& name, const DataSet& data, const Samples& samples, std::vector<Finding>& findings) {
  const std::int64_t size = data.input_size(), step = size / data.input_shape[0];
  std::visit(
      [&](const auto& values) {
        if (values.empty()) return;
        auto low = values[0], high = low;
        for (std::int64_t i = 0; i < samples.count; ++i) {
          const auto first = values.begin() + i * size;
          const auto valid = samples.lengths.empty() ? size : samples.lengths[static_cast<std::size_t>(i)] * step;
          const auto [least, most] = std::minmax_element(first, first + valid);
          low = std::min(low, *least), high = std::max(high, *most);
        }
        findings.push_back({name, std::vector<double>{static_cast<double>(low), static_cast<double>(high)}});
      },
      samples.inputs);
}

}  // namespace

std::vector<Finding> findings_of(const DataSet& data) {
  std::vector<Finding> findings;
  if (!data.files.empty()) findings.push_back({"files", data.files});
  findings.insert(findings.end(), data.findings.begin(), data.findings.end());
  const auto add = [&](const char* name, Finding::Value value) { findings.push_back({name, std::move(value)}); };
  const auto add_split = [&](const std::string& name, const Samples& samples) {
    findings.push_back({name + "_samples", samples.count});
    add_range(name + "_range", data, samples, findings);
  };
  if (!data.input_names.empty()) add("inputs", data.input_names);
  add_split("train", data.train);
  if (data.validation) add_split("validation", *data.validation);
  if (data.test) add_split("test", *data.test);
  if (data.classes > 0) add("classes", data.classes);
  if (!data.class_names.empty()) add("class_names", data.class_names);
  if (data.target_size > 0) add("target_numbers", data.target_size);
  if (data.shift != std::vector{0.0} || data.scale != std::vector{1.0}) {
    add("shift", data.shift);
    add("scale", data.scale);
  }
  return findings;
}

std::string in_short(const Finding& finding) {
  return std::visit([](const auto& value) { return text_of(value); }, finding.value);
}

}  // namespace backplane
