#include "config/node.h"

#include <cstdint>

#include "config/scalar.h"

namespace backplane::config {

namespace {

Node node_of(Node::Kind kind) {
  Node node;
  node.kind = kind;
  return node;
}

}  // namespace

Node Node::text(std::string value) {
  Node node = plain(std::move(value));
  node.quoted = true;
  return node;
}

Node Node::plain(std::string value) {
  Node node = node_of(Kind::scalar);
  node.scalar = std::move(value);
  return node;
}

Node Node::empty_map() { return node_of(Kind::map); }

Node Node::empty_list() { return node_of(Kind::list); }

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, value] : map)
    if (name == key) return &value;
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

const Node& Node::at(std::string_view key) const {
  const Node* value = find(key);
  BP_ASSERT(value != nullptr);
  return *value;
}

bool Node::as_bool() const {
  BP_ASSERT(is_scalar() && !quoted && (scalar == "true" || scalar == "false"));
  return scalar == "true";
}

std::int64_t Node::as_integer() const {
  const auto value = to_integer(scalar);
  BP_ASSERT(is_scalar() && !quoted && value.has_value());
  return *value;
}

double Node::as_number() const {
  const auto value = to_number(scalar);
  BP_ASSERT(is_scalar() && !quoted && value.has_value());
  return *value;
}

const std::string& Node::as_text() const {
  BP_ASSERT(is_scalar());
  return scalar;
}

const std::string& Node::chosen() const {
  BP_ASSERT(is_map() && map.size() == 1);
  return map.front().first;
}

const Node& Node::choice() const {
  BP_ASSERT(is_map() && map.size() == 1);
  return map.front().second;
}

}  // namespace backplane::config
