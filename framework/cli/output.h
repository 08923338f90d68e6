#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "base/printable.h"
#include "base/standard_streams.h"

namespace backplane::cli {

/// Gives each of stdin, stdout and stderr that the program was started without (`>&-`) a descriptor that leads nowhere:
/// else the next file opened would get its number, and be given what is printed. Whoever closes a stream does not want
/// what it says, so this is no error.
/// REQUIRES: called before any file is opened or thread started.
void open_missing_streams();

/// Results go to stderr from now on: what is to be read from stdout is an output that the command line sends there.
void send_results_to_stderr();

/// Writes results to stdout, or where they go instead, as they are. A stream that is closed, full or without a reader
/// neither throws nor ends the program: main asks at the end whether all results could be written.
void print(std::string_view text);

/// 0 where all results arrived on stdout, else the errno of the first write that failed.
int failure_of_results();

/// Results. What comes from files may stand in them: no control character reaches the terminal.
template <class... Values>
void show(fmt::format_string<Values...> text, Values&&... values) {
  print(printable(fmt::format(text, std::forward<Values>(values)...), /*lines=*/true));
}

/// Messages, on stderr, likewise.
template <class... Values>
void say(fmt::format_string<Values...> text, Values&&... values) {
  write_message(printable(fmt::format(text, std::forward<Values>(values)...), /*lines=*/true));
}

}  // namespace backplane::cli
