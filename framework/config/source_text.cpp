#include "config/source_text.h"

#include <fmt/format.h>

#include "base/utf8.h"
#include "files/open_file.h"

namespace backplane::config {

namespace {

[[noreturn]] void too_large(const std::string& path, const Limits& limits) {
  Diagnostic finding;
  finding.place.source = path;
  finding.what = fmt::format("the file is larger than {} bytes", limits.bytes);
  finding.hint = "is it an experiment? Data belongs into files of its own";
  throw UserError(ExitCode::bad_config, std::move(finding));
}

/// Line breaks are LF and CR LF; a CR alone would join two lines into one.
bool is_control(std::string_view text) {
  const auto byte = static_cast<unsigned char>(text[0]);
  if (byte == '\r') return !text.starts_with("\r\n");
  return (byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7F;
}

[[noreturn]] void bad_character(Place place, unsigned char byte, bool control) {
  Diagnostic finding;
  finding.place = std::move(place);
  finding.what = control ? fmt::format("the control character 0x{:02x} is not allowed in YAML", byte)
                         : fmt::format("the byte 0x{:02x} is not valid UTF-8", byte);
  finding.hint = "save the file as plain text in UTF-8";
  throw UserError(ExitCode::bad_config, std::move(finding));
}

}  // namespace

std::string read_source(const std::string& path, const Limits& limits) {
  const OpenedFile opened = open_regular_or_stream(path);
  if (!opened)
    throw UserError(opened.code(),
                    fmt::format("cannot read '{}': {}{}", path, opened.is_missing ? "" : "it ", opened.why),
                    opened.code() == ExitCode::io ? remedy_of(opened.error) : "");
  std::string text = read_all(opened.file, path, limits.bytes + 1);
  if (text.size() > limits.bytes) too_large(path, limits);
  return text;
}

void check_characters(std::string_view text, const std::string& source) {
  Place place{source, 1, 1};
  for (std::size_t i = 0, length = 0; i < text.size(); i += length) {
    length = first_character(text.substr(i)).size;
    const bool control = is_control(text.substr(i));
    if (length == 0 || control) bad_character(place, static_cast<unsigned char>(text[i]), control);
    const bool ends_line = text[i] == '\n';
    place.line += ends_line ? 1 : 0;
    place.column = ends_line ? 1 : place.column + static_cast<int>(length);
  }
}

}  // namespace backplane::config
