#pragma once

#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

namespace backplane {

/// No file of JSON that Backplane reads is larger; what reads one stops there.
inline constexpr std::size_t kMostJson = 64 << 20;
/// Nor nested deeper. What walks through a value calls itself once for each level.
inline constexpr int kDeepestJson = 64;

/// Listens to a parser, which makes no value meanwhile, and ends it where there is too much of something.
template <class Json>
class JsonBounds {
 public:
  explicit JsonBounds(std::size_t most_values) : most_values_(most_values) {}

  bool null() { return count(); }
  bool boolean(bool) { return count(); }
  bool number_integer(typename Json::number_integer_t) { return count(); }
  bool number_unsigned(typename Json::number_unsigned_t) { return count(); }
  bool number_float(typename Json::number_float_t, const typename Json::string_t&) { return count(); }
  bool string(typename Json::string_t&) { return count(); }
  bool binary(typename Json::binary_t&) { return count(); }
  bool key(typename Json::string_t&) { return true; }
  bool start_object(std::size_t) { return ++depth_ <= kDeepestJson && count(); }
  bool start_array(std::size_t) { return ++depth_ <= kDeepestJson && count(); }
  bool end_object() { return --depth_ >= 0; }
  bool end_array() { return --depth_ >= 0; }
  template <class Error>
  bool parse_error(std::size_t, const std::string&, const Error&) {
    return false;
  }

 private:
  bool count() { return ++values_ <= most_values_; }

  std::size_t most_values_, values_ = 0;
  int depth_ = 0;
};

/// The one reader of JSON out of files that somebody else may have made. Discarded (`is_discarded()`, and neither
/// object nor array) where the text is no JSON, is nested too deep, or holds more than `most_values` values; then
/// little of it has been looked at, and nothing kept. The text is gone through twice: a parser that asks a callback for
/// each value looks through all values of an array again for each object in it.
template <class Json>
Json parse_json(std::string_view text, std::size_t most_values = std::numeric_limits<std::size_t>::max()) {
  JsonBounds<Json> bounds(most_values);
  if (!Json::sax_parse(text.begin(), text.end(), &bounds)) return Json(Json::value_t::discarded);
  return Json::parse(text.begin(), text.end(), nullptr, false);
}

}  // namespace backplane
