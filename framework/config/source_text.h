#pragma once

#include <string>
#include <string_view>

#include "config/node.h"

namespace backplane::config {

/// The bytes of a file, at most `limits.bytes` of them. Throws UserError: no_input where it cannot be read,
/// bad_config where it is larger.
std::string read_source(const std::string& path, const Limits& limits);

/// Throws UserError (bad_config) with the place of the first byte that no text in UTF-8 has: yaml-cpp would take a NUL
/// for UTF-16, a 0x04 for the end of the file, and let broken UTF-8 through.
void check_characters(std::string_view text, const std::string& source);

}  // namespace backplane::config
