#include "base/utf8.h"

#include <algorithm>
#include <boost/locale/utf.hpp>

namespace backplane {

namespace utf = boost::locale::utf;
using Utf8 = utf::utf_traits<char>;

Utf8Character first_character(std::string_view text) {
  const char* const begin = text.data();
  const char* at = begin;
  const utf::code_point code = Utf8::decode(at, begin + text.size());
  if (code == utf::illegal || code == utf::incomplete) return {};
  return {.code = code, .size = static_cast<std::size_t>(at - begin)};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = first_character(text).size;
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, Utf8::is_lead));
}

std::string cut_short(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && Utf8::is_trail(text[most])) --most;
  return std::string(text.substr(0, most)) + "…";
}

}  // namespace backplane
