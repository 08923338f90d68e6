#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/suggest.h"
#include "config/parse.h"
#include "config/scalar.h"
#include "config/source_text.h"

namespace backplane::config {

namespace {

constexpr std::size_t kMostSteps = 64;

/// One part of a path: a key, or an index in a list.
struct Step {
  std::string key;
  std::optional<std::size_t> index;
};

/// Follows one assignment into the tree.
class Override {
 public:
  Override(std::string_view assignment, const std::string& word);

  void apply(Node& root) const;

 private:
  std::vector<Step> read_path(std::string_view path) const;
  Step read_key(std::string_view& path) const;
  Step read_index(std::string_view& path) const;
  Node read_value(std::string_view text, std::string_view path) const;
  void refuse_what_yaml_drops(std::string_view text, std::string_view path) const;
  Node& enter(Node& node, const Step& step, const std::string& so_far) const;
  Node& enter_list(Node& node, std::size_t index, const std::string& so_far) const;
  Node& enter_map(Node& node, const std::string& key) const;
  Node& enter_named(Node& list, const std::string& name, const std::string& so_far) const;
  void require_text(std::string_view assignment) const;
  [[noreturn]] void fail(std::string what, std::string path, std::string hint = {}) const;
  [[noreturn]] void malformed() const { fail("the path before '=' is malformed", "", "write a.b[2].c=value"); }

  const Place place_;
  std::vector<Step> path_;
  Node value_;
};

std::string path_after(const std::string& so_far, const Step& step) {
  if (step.index) return fmt::format("{}[{}]", so_far, *step.index);
  return so_far.empty() ? step.key : so_far + "." + step.key;
}

/// The map X of an item {type: X}, or nullptr.
Node* only_entry(Node& item) {
  const bool is_layer = item.is_map() && item.map.size() == 1 && item.map[0].second.is_map();
  return is_layer ? &item.map[0].second : nullptr;
}

bool is_same(const Node& a, const Node& b) {
  const auto is_same_entry = [](const auto& x, const auto& y) {
    return x.first == y.first && is_same(x.second, y.second);
  };
  return a.kind == b.kind && a.scalar == b.scalar && std::ranges::equal(a.list, b.list, is_same) &&
         std::ranges::equal(a.map, b.map, is_same_entry);
}

/// Whether YAML reads the same without a '#', behind a blank, and what follows it.
bool has_comment(std::string_view text) {
  for (std::size_t at = text.find('#'); at != std::string_view::npos; at = text.find('#', at + 1)) {
    if (at > 0 && std::string_view(" \t\n").find(text[at - 1]) == std::string_view::npos) continue;
    try {
      if (is_same(parse_value(text, ""), parse_value(text.substr(0, at), ""))) return true;
    } catch (const UserError&) {  // as where it stands in quotes
      continue;
    }
  }
  return false;
}

Override::Override(std::string_view assignment, const std::string& word) : place_{word, 0, 0} {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos)
    fail(fmt::format("expected path=value, got {}", shown(assignment)), "", "write a.b[2].c=value");
  require_text(assignment);
  path_ = read_path(assignment.substr(0, equals));
  value_ = read_value(assignment.substr(equals + 1), assignment.substr(0, equals));
}

void Override::fail(std::string what, std::string path, std::string hint) const {
  Diagnostic finding;
  finding.place = place_;
  finding.what = std::move(what);
  finding.path = std::move(path);
  finding.hint = std::move(hint);
  throw UserError(ExitCode::usage, std::move(finding));
}

/// Keys separated by dots, each with any number of [index] behind it; an index may also come first.
std::vector<Step> Override::read_path(std::string_view path) const {
  std::vector<Step> steps;
  bool wants_key = !path.starts_with('[');
  while (wants_key || !path.empty()) {
    if (steps.size() == kMostSteps) malformed();
    steps.push_back(wants_key ? read_key(path) : read_index(path));
    wants_key = path.starts_with('.');
    if (wants_key) path.remove_prefix(1);
  }
  return steps;
}

Step Override::read_key(std::string_view& path) const {
  const std::size_t length = std::min(path.find_first_of(".[]"), path.size());
  if (length == 0) malformed();
  Step step{std::string(path.substr(0, length)), std::nullopt};
  path.remove_prefix(length);
  return step;
}

Step Override::read_index(std::string_view& path) const {
  std::size_t index = 0;
  const char* end = path.data() + path.size();
  const auto [stopped, error] = std::from_chars(path.data() + 1, end, index);
  if (path[0] != '[' || error != std::errc() || stopped == end || *stopped != ']') malformed();
  path.remove_prefix(static_cast<std::size_t>(stopped + 1 - path.data()));
  return {"", index};
}

void Override::require_text(std::string_view assignment) const {
  try {
    check_characters(assignment, place_.source);
  } catch (const UserError& error) {
    fail(error.diagnostics().front().what, "",
         "what is set becomes text of a configuration in UTF-8: a file whose name is in another encoding needs another "
         "name");
  }
}

/// Of a word, all is meant: YAML would take a part of it for a comment, a directive or a document of its own.
void Override::refuse_what_yaml_drops(std::string_view text, std::string_view path) const {
  std::string quoted;
  for (const char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
  const std::string hint = fmt::format("if it belongs to the value, that stands in quotes: {}='{}'", path, quoted);
  const auto refuse = [&](const char* what) { fail(fmt::format("{} in the value {}", what, shown(text)), "", hint); };
  if (text.starts_with('%')) refuse("a '%' begins a directive of YAML, not text,");
  for (std::size_t line = 0; line < text.size(); line = std::min(text.find('\n', line), text.size() - 1) + 1) {
    const std::string_view rest = text.substr(line);
    const bool is_mark = rest.starts_with("---") || rest.starts_with("...");
    if (is_mark && (rest.size() == 3 || rest.find_first_of(" \t\n", 3) == 3))
      refuse("a mark of YAML's documents stands");
  }
  if (has_comment(text)) refuse("' #' begins a comment of YAML");
}

/// The value has no file: whatever is wrong with it happens at the word.
Node Override::read_value(std::string_view text, std::string_view path) const {
  refuse_what_yaml_drops(text, path);
  try {
    Node value = parse_value(text, place_.source);
    set_origin(value, place_, false);
    return value;
  } catch (const UserError& error) {
    std::vector<Diagnostic> findings = error.diagnostics();
    for (Diagnostic& finding : findings) finding.place = place_;
    throw UserError(error.code(), std::move(findings));
  }
}

void Override::apply(Node& root) const {
  Node* node = &root;
  std::string so_far;
  for (const Step& step : path_) {
    node = &enter(*node, step, so_far);
    so_far = path_after(so_far, step);
  }
  const Place key_place = node->key_place;
  *node = value_;
  node->key_place = key_place;
}

Node& Override::enter(Node& node, const Step& step, const std::string& so_far) const {
  if (step.index) return enter_list(node, *step.index, so_far);
  if (node.is_scalar())
    fail(fmt::format("cannot set {} inside {}", shown(step.key), shown(node)), so_far,
         fmt::format("set the whole value: {}={{{}: …}}", so_far, step.key));
  if (node.is_list()) return enter_named(node, step.key, so_far);
  return enter_map(node, step.key);
}

Node& Override::enter_list(Node& node, std::size_t index, const std::string& so_far) const {
  if (!node.is_list()) fail(fmt::format("[{}] asks for a list, but here stands {}", index, shown(node)), so_far);
  if (index >= node.list.size())
    fail(fmt::format("[{}] is beyond a list of {}, counted from 0", index, node.list.size()), so_far);
  return node.list[index];
}

Node& Override::enter_map(Node& node, const std::string& key) const {
  if (node.is_null()) {
    const Place key_place = node.key_place;
    node = Node::empty_map();
    node.place = place_;
    node.key_place = key_place;
  }
  if (Node* value = node.find(key)) return *value;
  Node& added = node.map.emplace_back(key, Node{}).second;
  added.place = place_;
  added.key_place = place_;
  return added;
}

Node& Override::enter_named(Node& list, const std::string& name, const std::string& so_far) const {
  std::vector<std::string> known;
  for (Node& item : list.list) {
    Node* entry = only_entry(item);
    const Node* own_name = entry == nullptr ? nullptr : entry->find("name");
    if (own_name == nullptr || !own_name->is_scalar()) continue;
    if (own_name->scalar == name) return *entry;
    known.push_back(own_name->scalar);
  }
  Diagnostic finding;
  finding.place = place_;
  finding.what = fmt::format("no item of this list is named {}", shown(name));
  finding.path = so_far;
  finding.nearest = nearest_name(name, known);
  finding.known = std::move(known);
  finding.hint = fmt::format("items are also chosen by their index: {}[0]", so_far);
  throw UserError(ExitCode::usage, std::move(finding));
}

}  // namespace

void apply_override(Node& root, std::string_view assignment, const std::string& word) {
  Override(assignment, word).apply(root);
}

}  // namespace backplane::config
