#include "config/tree_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/scalar.h"

namespace backplane::config {

namespace {

constexpr std::size_t kLongestKey = 200;
constexpr std::string_view kCoreTags = "tag:yaml.org,2002:";

Extent extent_of(const Node& node) {
  Extent extent{.nodes = 1, .text = node.scalar.size(), .depth = node.is_list() || node.is_map() ? 1 : 0};
  for (const Node& item : node.list) extent.include(extent_of(item));
  for (const auto& [key, value] : node.map) {
    extent.include(extent_of(value));
    extent.text += key.size();
  }
  return extent;
}

}  // namespace

void Extent::include(const Extent& child) {
  nodes += child.nodes;
  text += child.text;
  depth = std::max(depth, child.depth + 1);
}

std::string TreeBuilder::path() const {
  std::string path;
  for (const Open& level : open_) {
    if (&level == &open_.back()) break;
    if (level.node->is_list()) path += fmt::format("[{}]", level.node->list.size() - 1);
    if (level.node->is_map() && !path.empty()) path += '.';
    if (level.node->is_map()) path += in_short(level.node->map.back().first);
  }
  return path;
}

void TreeBuilder::fail(const Place& place, std::string what, std::string hint) const {
  Diagnostic finding;
  finding.place = place;
  finding.what = std::move(what);
  finding.path = path();
  finding.hint = std::move(hint);
  throw UserError(ExitCode::bad_config, std::move(finding));
}

void TreeBuilder::refuse_as_key(const Place& place, std::string hint) const {
  if (wants_key()) fail(place, "a key must be text, written out where it stands", std::move(hint));
}

void TreeBuilder::add_key(const Place& place, const std::string& key) {
  last_place_ = place;
  Open& map = open_.back();
  if (key == "<<") fail(place, "merge keys '<<' are not supported", "write the entries out");
  if (key.size() > kLongestKey) fail(place, fmt::format("a key is longer than {} bytes", kLongestKey));
  const auto [first, is_new] = map.keys.emplace(key, place);
  if (!is_new)
    fail(place, fmt::format("key {} is written twice; first at line {}, column {}", shown(key), first->second.line,
                            first->second.column));
  map.has_key = true;
  map.key = key;
  map.key_place = place;
}

void TreeBuilder::charge(const Place& place, const Extent& extent) {
  last_place_ = place;
  nodes_ += extent.nodes;
  if (nodes_ > limits_.nodes)
    fail(place, fmt::format("the document has more than {} values, what aliases repeat included", limits_.nodes));
  if (static_cast<int>(open_.size()) + extent.depth > limits_.depth)
    fail(place, fmt::format("lists and maps are nested more than {} deep", limits_.depth));
}

Node& TreeBuilder::put(Node value, YAML::anchor_t anchor) {
  Node* home = &root_;
  if (open_.empty()) {
    root_ = std::move(value);
  } else if (Open& parent = open_.back(); parent.node->is_list()) {
    home = &parent.node->list.emplace_back(std::move(value));
  } else {
    value.key_place = parent.key_place;
    parent.has_key = false;
    home = &parent.node->map.emplace_back(std::move(parent.key), std::move(value)).second;
  }
  if (anchor != YAML::NullAnchor) anchors_[anchor] = trail();
  return *home;
}

std::vector<std::size_t> TreeBuilder::trail() const {
  std::vector<std::size_t> indices;
  for (const Open& level : open_) indices.push_back(level.node->list.size() + level.node->map.size() - 1);
  return indices;
}

void TreeBuilder::open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node container) {
  container.place = place_of(mark);
  // yaml-cpp takes a bracket that is still open at the end of the text for the key of a map.
  refuse_as_key(container.place, "is a '[' or '{' not closed?");
  const std::string_view core = container.is_list() ? "seq" : "map";
  if (tag != "" && tag != "?" && tag != "!" && tag != fmt::format("{}{}", kCoreTags, core))
    fail(container.place, fmt::format("the tag {} is not supported here", shown(tag)));
  charge(container.place, {.nodes = 1, .text = 0, .depth = 1});
  Open level;
  level.node = &put(std::move(container), anchor);
  open_.push_back(std::move(level));
}

void TreeBuilder::OnDocumentStart(const YAML::Mark& mark) {
  if (has_document_)
    fail(place_of(mark), "the document ends before this line",
         "a file holds one document: no second '---', and no line indented less than the first");
  has_document_ = true;
}

void TreeBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  Node node;
  node.place = place_of(mark);
  refuse_as_key(node.place);
  charge(node.place, {});
  put(std::move(node), anchor);
}

void TreeBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                           const std::string& value) {
  const Place place = place_of(mark);
  if (value.find('\0') != std::string::npos)  // the system and HDF5 would read a name up to it only
    fail(place, "text with a NUL character (\\0) in it, which no name and no path can hold", "leave \\0 out");
  const std::string_view core = tag.starts_with(kCoreTags) ? std::string_view(tag).substr(kCoreTags.size()) : "";
  const bool is_plain = tag == "" || tag == "?" || core == "int" || core == "float" || core == "bool";
  const bool is_null = core == "null" && means_null(value);
  if (!is_plain && !is_null && tag != "!" && core != "str")
    fail(place, fmt::format("the tag {} is not supported here", shown(tag)));
  if (is_null) return OnNull(mark, anchor);
  if (wants_key()) return add_key(place, value);
  Node node = is_plain ? Node::plain(value) : Node::text(value);
  node.place = place;
  charge(node.place, {});
  put(std::move(node), anchor);
}

void TreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const Place place = place_of(mark);
  refuse_as_key(place);
  const Node& original = anchored(place, anchor);
  const Extent extent = extent_of(original);
  charge(place, extent);
  copied_text_ += extent.text;
  if (copied_text_ > limits_.bytes)
    fail(place, fmt::format("aliases repeat more than {} bytes of text", limits_.bytes));
  put(Node(original), YAML::NullAnchor);
}

const Node& TreeBuilder::anchored(const Place& place, YAML::anchor_t anchor) const {
  const auto trail = anchors_.find(anchor);
  if (trail == anchors_.end()) fail(place, "the alias names a key; only values can be repeated");
  const Node* node = &root_;
  for (const std::size_t index : trail->second) node = node->is_list() ? &node->list[index] : &node->map[index].second;
  for (const Open& level : open_)
    if (level.node == node) fail(place, "the alias names a value that it is part of");
  return *node;
}

}  // namespace backplane::config
