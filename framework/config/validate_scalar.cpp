// The part of the validator that looks at single values and at tensors.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/counted.h"
#include "config/scalar.h"
#include "config/validate.h"

namespace backplane::config {

namespace {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string boolean_remedy(const Node& node) {
  if (!node.is_scalar()) return {};
  if (is_one_of(node.scalar, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})) return "write true";
  if (is_one_of(node.scalar, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})) return "write false";
  return {};
}

std::string number_remedy(const Node& node, bool is_whole) {
  const auto number = to_number(node.scalar);
  if (!node.is_scalar() || !number) return {};
  if (node.quoted) return "drop the quotes";
  const bool is_large = is_whole && std::abs(*number) >= kExactIntegers;
  return is_large ? "write it in digits; whole numbers have 64 bits, the largest is 9223372036854775807" : "";
}

std::string items(std::size_t count) {
  return counted(count, "item");
}

}  // namespace

void Validator::check_boolean(const Node& node, const Schema& schema, const std::string& path) {
  const bool fits = node.is_scalar() && !node.quoted && is_one_of(node.scalar, {"true", "false"});
  if (!fits) report_type(node, schema, path, boolean_remedy(node));
}

void Validator::check_number(const Node& node, const Schema& schema, const std::string& path) {
  const bool is_whole = schema.kind_ == Schema::Kind::integer;
  const auto number = to_number(node.scalar);
  const bool is_number = is_whole ? to_integer(node.scalar).has_value() : number.has_value();
  if (!node.is_scalar() || node.quoted || !is_number)
    return report_type(node, schema, path, number_remedy(node, is_whole));
  check_range(*number, node, schema, path);
}

void Validator::check_text(const Node& node, const Schema& schema, const std::string& path) {
  if (!node.is_scalar()) return report_type(node, schema, path);
  const auto& known = schema.choices_;
  if (known.empty() || std::find(known.begin(), known.end(), node.scalar) != known.end()) return;
  report_unknown_name(node.place, schema, path, node.scalar, known, "value");
}

void Validator::check_duration(const Node& node, const Schema& schema, const std::string& path) {
  const auto duration = to_duration(node.scalar);
  if (node.is_scalar() && duration)
    return check_range(static_cast<double>(duration->steps + duration->epochs), node, schema, path);
  report_type(node, schema, path, "write 200, '200 steps' or '3 epochs', at least 1");
}

void Validator::check_tensor(const Node& node, const Schema& schema, const std::string& path, std::size_t level,
                             Shape& shape) {
  const bool is_below = level == shape.lengths.size();
  if (!node.is_list()) {
    if (!is_below)
      return report(node.place, schema, path,
                    fmt::format("expected a list of {}, got {}", items(shape.lengths[level]), shown(node)),
                    "all rows of a tensor have the same length");
    const bool fits = node.is_scalar() && !node.quoted && to_number(node.scalar);
    if (!fits) return report_type(node, schema, path, number_remedy(node, false));
    shape.is_complete = true;
    return check_range(*to_number(node.scalar), node, schema, path);
  }
  if (is_below && shape.is_complete) return report(node.place, schema, path, "expected a number, got a list");
  if (is_below) shape.lengths.push_back(node.list.size());
  if (shape.lengths[level] != node.list.size())
    return report(node.place, schema, path,
                  fmt::format("expected a list of {}, got {}", items(shape.lengths[level]), node.list.size()),
                  "all rows of a tensor have the same length");
  for (std::size_t i = 0; i < node.list.size(); ++i)
    check_tensor(node.list[i], schema, fmt::format("{}[{}]", path, i), level + 1, shape);
}

void Validator::check_length(const Node& node, const Schema& schema, const std::string& path) {
  const std::size_t length = node.list.size(), min = schema.min_items_, max = schema.max_items_;
  if (length >= min && length <= max) return;
  std::string allowed = fmt::format("{} to {}", min, items(max));
  if (max == std::numeric_limits<std::size_t>::max()) allowed = "at least " + items(min);
  if (min == 0) allowed = "at most " + items(max);
  if (min == max) allowed = items(min);
  report(node.place, schema, path, fmt::format("must have {}, got {}", allowed, length));
}

void Validator::check_range(double value, const Node& node, const Schema& schema, const std::string& path) {
  const bool is_low = schema.min_exclusive_ ? value <= schema.min_ : value < schema.min_;
  const bool is_high = schema.max_exclusive_ ? value >= schema.max_ : value > schema.max_;
  if (is_low || is_high)
    report(node.place, schema, path, fmt::format("must be {}, got {}", allowed_range(schema), in_short(node.scalar)));
}

}  // namespace backplane::config
