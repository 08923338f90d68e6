#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

namespace backplane {

/// No file of JSON that Backplane reads is larger; what reads one stops there.
inline constexpr std::size_t kMostJson = 64 << 20;
/// Nor nested deeper. What walks through a value calls itself once for each level.
inline constexpr int kDeepestJson = 64;

/// The one reader of JSON out of files that somebody else may have made. Discarded (`is_discarded()`, and neither
/// object nor array) where the text is no JSON or is nested too deep; then little of it has been looked at.
template <class Json>
Json parse_json(std::string_view text) {
  struct TooDeep {};
  const auto look = [](int depth, typename Json::parse_event_t, Json&) {
    if (depth > kDeepestJson) throw TooDeep();
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), look, false);
  } catch (const TooDeep&) {
    return Json(Json::value_t::discarded);
  }
}

}  // namespace backplane
