#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string_view>
#include <utility>

#include "base/printable.h"

namespace backplane::cli {

/// Gives each of stdin, stdout and stderr that the program was started without (`>&-`) a descriptor that leads nowhere:
/// else the next file opened would get its number, and be given what is printed. Whoever closes a stream does not want
/// what it says, so this is no error.
/// REQUIRES: called before any file is opened or thread started.
void open_missing_streams();

/// Writes to a standard stream, as it is. One that is closed, full or without a reader neither throws nor ends the
/// program: main asks at the end whether all results could be written.
void write(std::FILE* stream, std::string_view text);

/// Results go to stderr from now on: what is to be read from stdout is an output that the command line sends there.
void send_results_to_stderr();

/// stdout, or where results go instead.
std::FILE* results();

/// Whether all that was written to stdout arrived. Where it did not, errno says why.
bool have_results_arrived();

/// Results. What comes from files may stand in them: no control character reaches the terminal.
template <class... Values>
void show(fmt::format_string<Values...> text, Values&&... values) {
  write(results(), printable(fmt::format(text, std::forward<Values>(values)...), /*lines=*/true));
}

/// Messages, on stderr, likewise.
template <class... Values>
void say(fmt::format_string<Values...> text, Values&&... values) {
  write(stderr, printable(fmt::format(text, std::forward<Values>(values)...), /*lines=*/true));
}

}  // namespace backplane::cli
