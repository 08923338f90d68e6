#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/schema.h"

namespace backplane::config {

inline constexpr double kExactIntegers = 9007199254740992.0;  ///< 2^53: above it a double skips whole numbers

// What the text of one scalar means, once the schema has said what is wanted. Nothing here knows about places.

/// Digits with an optional sign, or a number in any other notation (1e4, 60000.0) that is whole as it is written and
/// below 2^53, so that no digit was lost on the way.
std::optional<std::int64_t> to_integer(std::string_view text);

/// A finite decimal number; neither hexadecimal nor "inf" nor "nan", whatever the locale. What is closer to 0 than any
/// double is 0.
std::optional<double> to_number(std::string_view text);

/// "3 epochs", "1 step" or "200", at least 1.
std::optional<Duration> to_duration(std::string_view text);

/// The words that YAML reads as null when they stand plain.
bool means_null(std::string_view text);

/// A piece of the document as it stands in a message: on one line, cut where it is long, and without characters that
/// would move the cursor of a terminal.
std::string in_short(std::string_view text);

/// The same in single quotes.
std::string shown(std::string_view text);

/// A value as it stands behind "got": 'ten', the text "10", a list, a map, nothing.
std::string shown(const Node& node);

}  // namespace backplane::config
