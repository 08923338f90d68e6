#pragma once

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "config/node.h"

namespace backplane::config {

/// What a value costs once it stands in the tree.
struct Extent {
  std::size_t nodes = 1;
  std::size_t text = 0;  ///< bytes, keys included
  int depth = 0;         ///< of lists and maps

  void include(const Extent& child);
};

/// Builds the tree from yaml-cpp's events. yaml-cpp's own tree would lose the marks of keys, keep one of two equal
/// keys, and share what aliases name.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& source, const Limits& limits) : source_(source), limits_(limits) {}

  Node take() { return std::move(root_); }
  /// Of the last key or value that was seen.
  const Place& last_place() const { return last_place_; }
  Place place_of(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::empty_list());
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::empty_map());
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  /// A list or map whose end has not been seen. `node` stays valid: what holds it does not grow until it is closed.
  struct Open {
    Node* node;
    bool has_key = false;
    std::string key;
    Place key_place;
    std::unordered_map<std::string, Place> keys;
  };

  bool wants_key() const { return !open_.empty() && open_.back().node->is_map() && !open_.back().has_key; }
  void refuse_as_key(const Place& place, std::string hint = {}) const;
  void add_key(const Place& place, const std::string& key);
  /// Fails where a value of this extent is too much here.
  void charge(const Place& place, const Extent& extent);
  Node& put(Node value, YAML::anchor_t anchor);
  std::vector<std::size_t> trail() const;
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node container);
  const Node& anchored(const Place& place, YAML::anchor_t anchor) const;
  std::string path() const;
  [[noreturn]] void fail(const Place& place, std::string what, std::string hint = {}) const;

  const std::string source_;
  const Limits limits_;
  Node root_;
  bool has_document_ = false;
  Place last_place_{source_, 1, 1};
  std::vector<Open> open_;
  std::size_t nodes_ = 0;
  std::size_t copied_text_ = 0;
  /// Where anchored values stand: the index of the child on every level. Pointers would not survive growth.
  std::unordered_map<YAML::anchor_t, std::vector<std::size_t>> anchors_;
};

}  // namespace backplane::config
