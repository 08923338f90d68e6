#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace backplane {

namespace {

bool is_shown(char32_t code) {
  const bool is_control = code < 0x20 || (code >= 0x7F && code < 0xA0);
  const bool is_separator = code == 0x2028 || code == 0x2029;
  const bool turns_direction = code == 0x200E || code == 0x200F || code == 0x061C ||
                               (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return !is_control && !is_separator && !turns_direction;
}

}  // namespace

std::string printable(std::string_view text, bool lines) {
  std::string shown;
  while (!text.empty()) {
    const auto [code, size] = first_character(text);
    const std::size_t step = std::max<std::size_t>(size, 1);
    if (size > 0 && (is_shown(code) || (lines && (code == '\n' || code == '\t'))))
      shown += text.substr(0, size);
    else
      for (std::size_t i = 0; i < step; ++i) shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    text.remove_prefix(step);
  }
  return shown;
}

std::string shell_word(const std::string& path) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+=:,@%-";
  const std::string word = path.starts_with('-') ? "./" + path : path;
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  const bool is_shown = printable(word) == word;
  std::string quoted = is_shown ? "'" : "$'";
  for (const char c : word) {
    if (c == '\'')
      quoted += is_shown ? "'\\''" : "\\'";
    else if (c == '\\' && !is_shown)
      quoted += "\\\\";
    else
      quoted += c;
  }
  return (is_shown ? quoted : printable(quoted)) + "'";
}

}  // namespace backplane
