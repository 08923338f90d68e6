#include "config/parse.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "base/counted.h"
#include "config/source_text.h"
#include "config/tree_builder.h"

namespace backplane::config {

namespace {

struct Remedy {
  std::string_view message;
  std::string_view hint;
};

constexpr std::string_view kNoTabs = "indent with spaces, not with tabs";

const Remedy kRemedies[] = {
    {YAML::ErrorMsg::TAB_IN_INDENTATION, kNoTabs},
    {YAML::ErrorMsg::MAP_VALUE,
     "look at this line and the one above: a key ends in a colon and a space, deeper "
     "lines are indented, and text with ': ' in it needs quotes"},
    {YAML::ErrorMsg::UNKNOWN_TOKEN, "text that begins with this character needs quotes"},
    {YAML::ErrorMsg::END_OF_SEQ_FLOW, "a '[' before this place is not closed"},
    {YAML::ErrorMsg::END_OF_MAP_FLOW, "a '{' before this place is not closed"},
    {YAML::ErrorMsg::BLOCK_ENTRY, "a list begins on a line of its own, or is written [a, b]"},
    {YAML::ErrorMsg::INVALID_UNICODE,
     "write the character itself; a pair of surrogates (D800 to DFFF) is one character: \\U and its 8 digits"},
    {YAML::ErrorMsg::INVALID_HEX, "behind \\x, \\u and \\U stand 2, 4 and 8 hexadecimal digits"},
    {YAML::ErrorMsg::INVALID_ESCAPE,
     "a backslash in double quotes is written twice; in single quotes it is a backslash"},
    {YAML::ErrorMsg::UNKNOWN_ANCHOR, "an alias *name repeats a value that was marked &name above it"},
};

std::string line_of(std::string_view text, int line) {
  std::istringstream lines{std::string(text)};
  std::string found;
  for (int i = 0; i <= line && std::getline(lines, found); ++i) continue;
  return found;
}

std::size_t indentation_of(const std::string& line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

/// Names the lines above that a line could go with, where it is indented like none of them; "" where it is.
std::string misfit(std::string_view text, int number) {
  const std::size_t own = indentation_of(line_of(text, number));
  std::vector<std::string> above;
  std::size_t least = std::string::npos;
  for (int i = number - 1; i >= 0 && least > 0; --i) {
    const std::string line = line_of(text, i);
    const std::size_t begin = indentation_of(line);
    if (begin == line.size() || line[begin] == '#' || begin >= least) continue;
    if (begin == own) return {};
    least = begin;
    above.push_back(fmt::format("{} of '{}' in line {}", begin,
                                line.substr(begin, std::min(line.find(':', begin), line.size()) - begin), i + 1));
  }
  constexpr std::size_t kMost = 3;
  if (above.size() > kMost) above.resize(kMost);
  return fmt::format("this line is indented by {}, which is like no line above that it could go with: {}",
                     counted(own, "space"), fmt::join(above, ", "));
}

std::string remedy(const YAML::Exception& error, std::string_view text) {
  const std::string line = line_of(text, error.mark.line);
  if (error.msg == YAML::ErrorMsg::END_OF_MAP || error.msg == YAML::ErrorMsg::END_OF_SEQ)
    return misfit(text, error.mark.line);
  const std::string indentation = line.substr(0, line.find_first_not_of(" \t"));
  if (indentation.find('\t') != std::string::npos) return std::string(kNoTabs);
  for (const Remedy& known : kRemedies)
    if (error.msg.starts_with(known.message)) return std::string(known.hint);
  return {};
}

/// What yaml-cpp calls "invalid unicode: 56575".
std::string in_words(const std::string& message) {
  const std::string_view kUnicode = YAML::ErrorMsg::INVALID_UNICODE;
  if (!message.starts_with(kUnicode)) return message;
  return fmt::format("\\u{:04X} is the number of no character", std::stoul(message.substr(kUnicode.size())));
}

[[noreturn]] void fail_syntax(const YAML::Exception& error, std::string_view text, const TreeBuilder& builder) {
  Diagnostic finding;
  if (error.msg == YAML::ErrorMsg::DOC_IN_SCALAR) {
    finding.place = builder.last_place();
    finding.what = "not valid YAML: a quote that opens after this place is not closed";
  } else {
    finding.place = builder.place_of(error.mark);
    finding.what = "not valid YAML: " + in_words(error.msg);
    finding.hint = remedy(error, text);
  }
  throw UserError(ExitCode::bad_config, std::move(finding));
}

/// yaml-cpp takes the end of the file for a closing quote; it does not take the end of a document for one.
std::string with_end_mark(std::string_view text) {
  return fmt::format("{}{}...\n", text, text.empty() || text.ends_with('\n') ? "" : "\n");
}

}  // namespace

Node parse_value(std::string_view text, const std::string& source, const Limits& limits) {
  if (text.size() > limits.bytes) {
    Diagnostic finding;
    finding.place.source = source;
    finding.what = fmt::format("the text is longer than {} bytes", limits.bytes);
    throw UserError(ExitCode::bad_config, std::move(finding));
  }
  check_characters(text, source);
  TreeBuilder builder(source, limits);
  try {
    std::istringstream stream(with_end_mark(text));
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const YAML::Exception& error) {
    fail_syntax(error, text, builder);
  }
  return builder.take();
}

Node parse_text(std::string_view text, const std::string& source, const Limits& limits) {
  Node root = parse_value(text, source, limits);
  if (!root.is_null()) return root;
  root = Node::empty_map();
  root.place = {source, 1, 1};
  return root;
}

Node parse_file(const std::string& path, const Limits& limits) {
  return parse_text(read_source(path, limits), path, limits);
}

void set_origin(Node& tree, const Place& place, bool is_default) {
  tree.place = place;
  tree.key_place = place;
  tree.is_default = is_default;
  for (Node& item : tree.list) set_origin(item, place, is_default);
  for (auto& [key, value] : tree.map) set_origin(value, place, is_default);
}

}  // namespace backplane::config
