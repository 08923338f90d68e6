#include <fmt/format.h>

#include <algorithm>

#include "config/scalar.h"

namespace backplane::config {

namespace {

constexpr std::size_t kLongestFlow = 100;  ///< characters of a list on one line
constexpr std::string_view kIndicators = "-?:,[]{}#&*!|>'\"%@`";

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  ///< yaml-cpp skips it between words

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

bool has_hidden(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control) || text.find(kByteOrderMark) != std::string_view::npos;
}

/// Whether a plain scalar of this text reads back as itself, in block style and between the brackets of a list.
bool reads_back_plain(std::string_view text) {
  if (means_null(text) || text == "<<" || has_hidden(text)) return false;
  if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
  const bool is_negative = text.size() > 1 && text[0] == '-' && text[1] != ' ' && text[1] != '-';
  if (kIndicators.find(text[0]) != std::string_view::npos && !is_negative) return false;
  if (text.starts_with("...") || text.find_first_of(",[]{}?") != std::string_view::npos) return false;
  return text.find(": ") == std::string_view::npos && text.find(" #") == std::string_view::npos;
}

std::string in_quotes(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '\n') quoted += "\\n";
    else if (c == '\t') quoted += "\\t";
    else if (is_control(c)) quoted += fmt::format("\\x{:02x}", c);
    else if (c == '"' || c == '\\') quoted += fmt::format("\\{}", c);
    else quoted += c;
  }
  return quoted + '"';
}

std::string scalar_text(const Node& node) {
  if (node.is_null()) return "null";
  return node.quoted || !reads_back_plain(node.scalar) ? in_quotes(node.scalar) : node.scalar;
}

std::string key_text(const std::string& key) { return reads_back_plain(key) ? key : in_quotes(key); }

/// "[1, 2, 3]", or "" where an item is no scalar or the line grows too long.
std::string flow_list(const std::vector<Node>& items) {
  std::string line = "[";
  for (const Node& item : items) {
    if (item.is_list() || item.is_map() || line.size() > kLongestFlow) return {};
    line += (line.size() > 1 ? ", " : "") + scalar_text(item);
  }
  return line.size() < kLongestFlow ? line + "]" : "";
}

/// The value on one line, or "" where it needs a block.
std::string inline_text(const Node& node) {
  if (node.is_map()) return node.map.empty() ? "{}" : "";
  return node.is_list() ? flow_list(node.list) : scalar_text(node);
}

/// Writes YAML in block style. Every write_… begins where the cursor stands and ends behind a newline.
class Emitter {
 public:
  void write(const Node& node, std::size_t indent);

  std::string take() { return std::move(text_); }

 private:
  void write_map(const Node& node, std::size_t indent);
  void write_list(const Node& node, std::size_t indent);
  void start_line(std::size_t indent) {
    if (!text_.empty() && text_.back() == '\n') text_.append(indent, ' ');
  }

  std::string text_;
};

void Emitter::write(const Node& node, std::size_t indent) {
  const std::string line = inline_text(node);
  if (!line.empty()) text_ += line + "\n";
  else if (node.is_map()) write_map(node, indent);
  else write_list(node, indent);
}

void Emitter::write_map(const Node& node, std::size_t indent) {
  for (const auto& [key, value] : node.map) {
    start_line(indent);
    text_ += key_text(key) + (inline_text(value).empty() ? ":\n" : ": ");
    write(value, indent + 2);
  }
}

/// The first entry of an item stands behind its dash.
void Emitter::write_list(const Node& node, std::size_t indent) {
  for (const Node& item : node.list) {
    start_line(indent);
    text_ += "- ";
    write(item, indent + 2);
  }
}

}  // namespace

std::string to_yaml(const Node& root) {
  Emitter emitter;
  emitter.write(root, 0);
  return emitter.take();
}

}  // namespace backplane::config
