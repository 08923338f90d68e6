#pragma once

#include <string>
#include <string_view>

namespace backplane {

/// What a file says, safe for a terminal: control characters, escapes, marks that turn the writing direction round and
/// what is no UTF-8 become \xNN. Line ends and tabs stay where `lines` is set.
std::string printable(std::string_view text, bool lines = false);

/// A path as a word of a command for the shell: quoted where it needs to be, and no option where it begins with a dash.
/// `printable` leaves it as it is.
std::string shell_word(const std::string& path);

}  // namespace backplane
