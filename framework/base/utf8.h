#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace backplane {

/// The character that UTF-8 text begins with.
struct Utf8Character {
  char32_t code = 0;
  std::size_t size = 0;  ///< in bytes; 0 where no well-formed character (RFC 3629) stands there
};
Utf8Character first_character(std::string_view text);

/// Whether all of it is well-formed UTF-8, as YAML and JSON are.
bool is_utf8(std::string_view text);

/// How many characters well-formed text has.
std::size_t character_count(std::string_view text);

/// Text of at most `most` bytes as it is; of longer text as many, less a character that does not end by then, and "…".
std::string cut_short(std::string_view text, std::size_t most);

}  // namespace backplane
