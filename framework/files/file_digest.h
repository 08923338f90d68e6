#pragma once

#include <string>

namespace backplane {

/// SHA-256 of what a file holds, in 64 lower-case hexadecimal digits. Throws UserError where the file cannot be read:
/// no_input, or io where the system failed.
std::string sha256_of_file(const std::string& path);

}  // namespace backplane
