#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace backplane {

/// "1 sample", "2 samples".
template <class Number>
std::string counted(Number count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace backplane
