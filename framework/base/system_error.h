#pragma once

#include <string>
#include <string_view>
#include <system_error>

#include "base/error.h"

namespace backplane {

/// errno in words: "permission denied", "links lead in a circle". Never empty.
std::string reason_of(int error);

/// What mends it, a sentence; empty where the reason says all.
std::string remedy_of(int error);

/// Likewise of something that was to be written.
std::string remedy_of_writing(int error);

/// no_input where what the user named is not there or not theirs to read, io where the system or its disk failed.
ExitCode code_of_reading(int error);

/// "PATH: cannot be written: permission denied", with its remedy. `what` is the part in the middle.
UserError system_error(ExitCode code, const std::string& path, std::string_view what, int error);

/// Likewise, of something that was to be read: "PATH: cannot be read: …" with the code of reading.
UserError cannot_read(const std::string& path, int error);

/// What the standard library throws where the system fails, said as the above (io), with the path where it knows one.
UserError system_error(const std::system_error& error);

}  // namespace backplane
