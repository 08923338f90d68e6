#include "base/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/printable.h"
#include "base/utf8.h"

namespace backplane {

namespace {

constexpr std::size_t kMostKnown = 40;
constexpr std::size_t kLongestKnown = 80;

/// There may be thousands of them, of any length, where they come from a file.
std::string known_names(const std::vector<std::string>& known) {
  const auto most = static_cast<std::ptrdiff_t>(std::min(known.size(), kMostKnown));
  std::vector<std::string> first(known.begin(), known.begin() + most);
  for (std::string& name : first) name = cut_short(name, kLongestKnown);
  return fmt::format("known: {}{}", fmt::join(first, ", "),
                     known.size() > kMostKnown ? fmt::format(", … and {} more", known.size() - kMostKnown) : "");
}

std::string join_texts(const std::vector<Diagnostic>& diagnostics) {
  std::string all;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (!all.empty()) all += '\n';
    all += diagnostic.text();
  }
  return all;
}

}  // namespace

std::string Place::text() const {
  if (line == 0) return source;
  if (column == 0) return fmt::format("{}:{}", source, line);
  return fmt::format("{}:{}:{}", source, line, column);
}

/// Names in it come from files and command lines: none of them may look like another line, or reach the terminal.
std::string Diagnostic::text() const {
  std::string message = place.source.empty() ? "" : printable(place.text()) + ": ";
  message += "error: " + printable(what);
  if (!path.empty()) message += "\n  " + printable(path);
  std::string names;
  if (!nearest.empty()) names = fmt::format("did you mean '{}'?", nearest);
  if (!known.empty()) names += (names.empty() ? "" : "   ") + known_names(known);
  if (!names.empty()) message += "\n  " + printable(names);
  if (!hint.empty()) message += "\n  hint: " + printable(hint);
  return message;
}

UserError::UserError(ExitCode code, std::vector<Diagnostic> diagnostics)
    : std::runtime_error(join_texts(diagnostics)), code_(code), diagnostics_(std::move(diagnostics)) {}

UserError::UserError(ExitCode code, Diagnostic diagnostic)
    : UserError(code, std::vector<Diagnostic>{std::move(diagnostic)}) {}

UserError::UserError(ExitCode code, std::string what, std::string hint)
    : UserError(
          code,
          Diagnostic{
              .place = {}, .what = std::move(what), .path = {}, .nearest = {}, .known = {}, .hint = std::move(hint)}) {}

void fail_assertion(const char* condition, const char* file, int line) {
  throw InternalError(fmt::format("{}:{}: assertion failed: {}", file, line, condition));
}

}  // namespace backplane
