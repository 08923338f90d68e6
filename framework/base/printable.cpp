#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>

namespace backplane {

namespace {

/// Bytes of the well-formed UTF-8 character at the front (RFC 3629), 0 where there is none; `code` becomes its number.
std::size_t character(std::string_view text, unsigned& code) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t size = first < 0x80   ? 1
                           : first < 0xC2 ? 0
                           : first < 0xE0 ? 2
                           : first < 0xF0 ? 3
                           : first < 0xF5 ? 4
                                          : 0;
  if (size == 0 || size > text.size()) return 0;
  code = size == 1 ? first : first & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const bool is_overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool is_surrogate = code >= 0xD800 && code < 0xE000;
  return is_overlong || is_surrogate || code > 0x10FFFF ? 0 : size;
}

bool is_shown(unsigned code) {
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
    unsigned code = 0;
    const std::size_t size = character(text, code);
    const std::size_t step = std::max<std::size_t>(size, 1);
    if (size > 0 && (is_shown(code) || (lines && (code == '\n' || code == '\t'))))
      shown += text.substr(0, size);
    else
      for (std::size_t i = 0; i < step; ++i) shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    text.remove_prefix(step);
  }
  return shown;
}

bool is_utf8(std::string_view text) {
  for (unsigned code = 0; !text.empty();) {
    const std::size_t size = character(text, code);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace backplane
