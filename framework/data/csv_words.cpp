#include "data/csv_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "config/scalar.h"

namespace backplane {

namespace {

constexpr std::size_t kLongestNumber = 40;

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

/// `text` without `marks`; with a point in place of each `comma`, which stays where none is given.
std::string without(std::string_view text, std::string_view marks, char comma = '\0') {
  std::string result;
  for (const char c : text)
    if (c == comma && comma != '\0')
      result += '.';
    else if (marks.find(c) == std::string_view::npos)
      result += c;
  return result;
}

bool is_number(std::string_view text) {
  return config::to_number(text).has_value();
}

}  // namespace

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool means_missing(std::string_view text) {
  return is_one_of(lower(without_blanks(text)),
                   {"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "?", "-", "."});
}

bool means_no_name(std::string_view text) {
  return is_one_of(lower(without_blanks(text)), {"", "na", "n/a", "#n/a", "nan", "-nan", "null"});
}

WrongNumber wrong_number(std::string_view field) {
  const std::string_view text = without_blanks(field);
  if (means_missing(text)) {
    constexpr const char* kRemedy = "fill the gap, or leave out the row, or the column: `inputs` names those to use";
    if (text.empty()) return {"a missing value (an empty field)", kRemedy};
    return {fmt::format("a missing value ('{}')", text), kRemedy};
  }
  if (is_one_of(lower(without(text, "+-")), {"inf", "infinity"})) return {"an infinite value", {}};
  if (is_one_of(lower(text), {"true", "false", "yes", "no", "t", "f", "y", "n"}))
    return {"a truth value", "write 1 and 0"};
  const bool looks_like_number = text.size() <= kLongestNumber &&
                                 std::isdigit(static_cast<unsigned char>(text.back())) &&
                                 text.find_first_not_of("0123456789+-.,eEdD'_ ") == std::string_view::npos;
  if (looks_like_number) {
    const std::string shown = fmt::format("'{}'", text);
    if (std::ranges::count(text, ',') == 1 && is_number(without(text, ".", ',')))
      return {"a comma inside a number, " + shown,
              "decimals are written with a point, and thousands without a mark: 1.5, 1234"};
    if (is_number(without(text, ",'_ ")))
      return {"a number with marks between its digits, " + shown, "write it without them: 1234"};
    if (text.find_first_of("dD") != std::string_view::npos) return {shown, "exponents are written with e: 1e5"};
    if (!text.empty() && is_number(text.substr(0, text.find_first_of("eE"))))
      return {"a number too large for 64 bits, " + shown, {}};
    return {shown, {}};
  }
  if (text.back() == '%' && is_number(without(text, "% ", ','))) return {"a percentage", "write the number alone"};
  if (is_number(without(text, "'\""))) return {"a number within quotes of its own", "write it without them"};
  return {"text", "`inputs` and `targets` name the columns to use; all of them hold numbers"};
}

char probable_delimiter(std::string_view line, char delimiter) {
  constexpr std::array kUsual{',', ';', '\t', '|', ':', ' '};  // the first of equally many wins, and blanks come last
  char best = '\0';
  std::ptrdiff_t most = 0;
  for (const char candidate : kUsual) {
    const std::ptrdiff_t count = std::ranges::count(line, candidate);
    if (candidate != delimiter && count > most && (candidate != ' ' || most == 0)) best = candidate, most = count;
  }
  return best;
}

std::string yaml_of(char delimiter) {
  return delimiter == '\t' ? "\"\\t\"" : fmt::format("'{}'", delimiter);
}

}  // namespace backplane
