#include "config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <clocale>
#include <cmath>
#include <cstdlib>
#include <type_traits>

#include "base/utf8.h"

namespace backplane::config {

namespace {

constexpr std::size_t kLongestShown = 60;

/// std::from_chars knows '-' but not '+'.
std::string_view without_plus(std::string_view text) {
  const bool has_plus = text.size() > 1 && text[0] == '+' && text[1] != '-';
  return has_plus ? text.substr(1) : text;
}

/// Of a number that std::from_chars finds out of range: what is too small for a double is 0 or the nearest subnormal.
double out_of_range_value(std::string_view text) {
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  return strtod_l(std::string(text).c_str(), nullptr, c_locale);
}

template <typename Number>
std::optional<Number> read_whole(std::string_view text) {
  text = without_plus(text);
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || stopped != end) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>)
    if (error == std::errc::result_out_of_range) return out_of_range_value(text);
  if (error != std::errc()) return std::nullopt;
  return value;
}

/// Whether all digits of a number behind its point are 0. A double cannot tell: 1e-400 becomes 0, and
/// 2.99999999999999999999 becomes 3.
bool is_whole(std::string_view number) {
  const std::size_t exponent_at = std::min(number.find_first_of("eE"), number.size());
  const std::string_view mantissa = number.substr(0, exponent_at);
  const std::size_t last = mantissa.find_last_of("123456789");
  if (last == std::string_view::npos) return true;  // 0
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const auto places = static_cast<std::int64_t>(last) - static_cast<std::int64_t>(point) + (last < point ? 1 : 0);
  std::int64_t exponent = 0;
  if (exponent_at < number.size()) {
    const std::string_view digits = without_plus(number.substr(exponent_at + 1));
    const auto [stopped, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (error == std::errc::result_out_of_range) return digits[0] != '-';
  }
  return exponent >= places;
}

std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return line;
}

}  // namespace

std::optional<std::int64_t> to_integer(std::string_view text) {
  if (const auto digits = read_whole<std::int64_t>(text)) return digits;
  const auto number = to_number(text);
  if (!number || !is_whole(text) || std::abs(*number) >= kExactIntegers) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

std::optional<double> to_number(std::string_view text) {
  const auto number = read_whole<double>(text);
  return number && std::isfinite(*number) ? number : std::nullopt;
}

std::optional<Duration> to_duration(std::string_view text) {
  const std::size_t space = text.find(' ');
  const auto count = to_integer(text.substr(0, space));
  if (!count || *count < 1) return std::nullopt;
  if (space == std::string_view::npos) return Duration{.steps = *count, .epochs = 0};
  const std::string_view unit = text.substr(std::min(text.find_first_not_of(' ', space), text.size()));
  if (unit == "step" || unit == "steps") return Duration{.steps = *count, .epochs = 0};
  if (unit == "epoch" || unit == "epochs") return Duration{.steps = 0, .epochs = *count};
  return std::nullopt;
}

bool means_null(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

std::string in_short(std::string_view text) {
  return on_one_line(cut_short(text, kLongestShown));
}

std::string shown(std::string_view text) {
  return fmt::format("'{}'", in_short(text));
}

std::string shown(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null: return "nothing";
    case Node::Kind::list: return "a list";
    case Node::Kind::map: return "a map";
    case Node::Kind::scalar: break;
  }
  return node.quoted ? fmt::format("the text \"{}\"", in_short(node.scalar)) : shown(node.scalar);
}

}  // namespace backplane::config
