#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "base/exit_code.h"

namespace backplane {

/// Where something was written: a file with line and column, or a word of the command line.
struct Place {
  std::string source;  ///< file name, or "--set train.epochs=x"
  int line = 0;        ///< counted from 1; 0 = the source has no lines
  int column = 0;      ///< counted from 1; 0 = unknown

  /// "file:line:column", leaving out what is unknown; "" for an empty place.
  std::string text() const;
};

/// One finding for the user: place, what, and how to mend it. All parts but `what` may be empty.
struct Diagnostic {
  Place place;
  std::string what;                ///< one sentence without full stop: "unknown layer type 'dens'"
  std::string path;                ///< path inside the document: "network.layers[0]"
  std::string nearest;             ///< the known name closest to the wrong one
  std::vector<std::string> known;  ///< all known names, of which the message gives the first few
  std::string hint;                ///< the remedy, a sentence

  /// The message as printed, several lines, no newline at the end:
  ///     file:9:7: error: unknown layer type 'dens'
  ///       network.layers[0]
  ///       did you mean 'dense'?   known: conv2d, dense, …
  ///       hint: …
  std::string text() const;
};

/// A mistake of the user or of the machine (file, disk, plug-in): reported without a stack trace.
class UserError : public std::runtime_error {
 public:
  UserError(ExitCode code, std::vector<Diagnostic> diagnostics);
  UserError(ExitCode code, Diagnostic diagnostic);
  /// For errors that have no place in a document.
  UserError(ExitCode code, std::string what, std::string hint = {});

  ExitCode code() const { return code_; }
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  ExitCode code_;
  std::vector<Diagnostic> diagnostics_;
};

/// A broken assumption of this program: our mistake, never the user's.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws InternalError naming file and line where `condition` is false. Never for user input.
#define BP_ASSERT(condition)                                                       \
  do {                                                                             \
    if (!(condition)) ::backplane::fail_assertion(#condition, __FILE__, __LINE__); \
  } while (false)

[[noreturn]] void fail_assertion(const char* condition, const char* file, int line);

}  // namespace backplane
