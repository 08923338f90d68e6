#include "data/csv_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "config/scalar.h"
#include "data/csv_reader.h"

namespace backplane {

namespace {

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

/// `text` with ASCII's minus and blank in place of those of typographers.
std::string in_ascii(std::string_view text) {
  struct Sign {
    std::string_view of_typographers;
    char ascii;
  };
  constexpr std::array<Sign, 7> kSigns{{{"\u2212", '-'},
                                        {"\u2013", '-'},
                                        {"\uFE63", '-'},
                                        {"\uFF0D", '-'},
                                        {"\u00A0", ' '},
                                        {"\u2009", ' '},
                                        {"\u202F", ' '}}};
  std::string result(text);
  for (const Sign& sign : kSigns)
    for (std::size_t at = 0; (at = result.find(sign.of_typographers, at)) != std::string::npos; ++at)
      result.replace(at, sign.of_typographers.size(), 1, sign.ascii);
  return result;
}

bool is_infinite(std::string_view text) {
  return is_one_of(lower(without(text, "+-")), {"inf", "infinity"});
}

bool is_hexadecimal(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text.size() > 2 && (text.starts_with("0x") || text.starts_with("0X")) &&
         text.find_first_not_of("0123456789abcdefABCDEF.pP+-", 2) == std::string_view::npos;
}

/// 2020-01-31, 31/1/2020, 31.1.2020
bool is_date(std::string_view text) {
  for (const char mark : {'-', '/', '.'}) {
    const std::size_t first = text.find(mark), last = text.rfind(mark);
    if (first == std::string_view::npos || std::ranges::count(text, mark) != 2) continue;
    const std::array parts{text.substr(0, first), text.substr(first + 1, last - first - 1), text.substr(last + 1)};
    const auto is_part = [](std::string_view part) {
      return !part.empty() && part.size() <= 4 && part.find_first_not_of("0123456789") == std::string_view::npos;
    };
    const bool has_year = parts[0].size() == 4 || parts[2].size() == 4;
    if (has_year && parts[1].size() <= 2 && std::ranges::all_of(parts, is_part)) return true;
  }
  return false;
}

/// Whether it is a number, though beyond every double: its digits alone are one.
bool is_too_large(std::string_view text) {
  const std::string_view mantissa = text.substr(0, text.find_first_of("eE"));
  const std::string exponent(mantissa.size() < text.size() ? text.substr(mantissa.size() + 1) : "0");
  const auto is_signed_digits = [](std::string_view digits) {
    if (digits.starts_with('-') || digits.starts_with('+')) digits.remove_prefix(1);
    return !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return !is_number(text) && std::ranges::count(mantissa, '.') <= 1 && is_signed_digits(without(mantissa, ".")) &&
         is_signed_digits(exponent);
}

/// 1.234.567, but not the version 1.2.3.
bool has_points_by_thousands(std::string_view text) {
  const std::size_t first = text.find('.');
  if (first == std::string_view::npos || text.find('.', first + 1) == std::string_view::npos) return false;
  for (std::size_t i = first; i < text.size(); ++i)
    if (((i - first) % 4 == 0) != (text[i] == '.')) return false;
  return (text.size() - first) % 4 == 0 && is_number(without(text, "."));
}

/// Of a number that stands as others write it; nothing where it is none.
std::optional<WrongNumber> number_of_others(std::string_view text) {
  const std::string named = fmt::format("'{}'", shown(std::string(text)));
  constexpr const char* kFinite = "put a finite number there, or leave out the row";
  if (is_infinite(text)) return WrongNumber{"an infinite value", kFinite};
  if (is_hexadecimal(text)) return WrongNumber{"a hexadecimal number, " + named, "write it in decimal: 16 for 0x10"};
  if (text.empty() || text.find_first_not_of("0123456789+-.,eEdD'_ /") != std::string_view::npos ||
      !std::isdigit(static_cast<unsigned char>(text.back())))
    return std::nullopt;
  if (is_date(text))
    return WrongNumber{"a date, " + named, "write it as a number, as the days since one of them, or several"};
  if (std::ranges::count(text, ',') == 1 && is_number(without(text, ".", ',')))
    return WrongNumber{"a comma inside a number, " + named,
                       "decimals are written with a point, and thousands without a mark: 1.5, 1234"};
  if (is_number(without(text, ",'_ ")) || has_points_by_thousands(text))
    return WrongNumber{"a number with marks between its digits, " + named, "write it without them: 1234"};
  if (text.find_first_of("dD") != std::string_view::npos) {
    std::string of_c(text);
    std::ranges::replace_if(
        of_c, [](char c) { return c == 'd' || c == 'D'; }, 'e');
    if (is_number(of_c)) return WrongNumber{named, "exponents are written with e: 1e5"};
  }
  if (is_too_large(text)) return WrongNumber{"a number too large for 64 bits, " + named, kFinite};
  return std::nullopt;
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

MeantNumber meant_number(std::string_view field) {
  const std::string text = in_ascii(without_blanks(field));
  if (is_number(text)) return {.is_number = true};
  if (is_date(text) || !number_of_others(text)) return {};
  return {.is_number = true, .is_finite = !is_infinite(text) && !is_too_large(text)};
}

WrongNumber wrong_number(std::string_view field, bool is_input) {
  const std::string_view text = without_blanks(field);
  if (means_missing(text)) {
    const std::string remedy = is_input
                                   ? "fill the gap, or leave out the row, or the column: `inputs` names those to use"
                                   : "fill the gap, or leave out the row";
    if (text.empty()) return {"a missing value (an empty field)", remedy};
    return {fmt::format("a missing value ('{}')", text), remedy};
  }
  if (is_one_of(lower(text), {"true", "false", "yes", "no", "t", "f", "y", "n"}))
    return {"a truth value", "write 1 and 0"};
  if (auto wrong = number_of_others(text)) return *wrong;
  if (const std::string ascii = in_ascii(text); ascii != text && (is_number(ascii) || number_of_others(ascii)))
    return {"a number with a sign or blank of typographers (not in ASCII)",
            "write - for a minus, and no blanks between digits"};
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
