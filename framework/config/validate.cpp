#include "config/validate.h"

#include <fmt/format.h>

#include <utility>

#include "config/parse.h"
#include "config/scalar.h"

namespace backplane::config {

namespace {

std::string with_article(const std::string& noun) {
  const bool has_vowel = !noun.empty() && std::string_view("aeiou").find(noun[0]) != std::string_view::npos;
  return (has_vowel ? "an " : "a ") + noun;
}

std::string path_to(const std::string& parent, const std::string& key) {
  return parent.empty() ? key : parent + "." + key;
}

std::string path_to(const std::string& parent, std::size_t index) {
  return fmt::format("{}[{}]", parent, index);
}

const Schema::Field* field_named(const Schema& schema, std::string_view name) {
  for (const Schema::Field& field : schema.fields())
    if (field.name == name) return &field;
  return nullptr;
}

/// A list or map as it was written, without what it holds.
Node shell_of(const Node& node, Node::Kind kind) {
  Node shell;
  shell.kind = kind;
  shell.place = node.place;
  shell.key_place = node.key_place;
  shell.is_default = node.is_default;
  return shell;
}

/// Validated by itself, because a default that does not fit is a fault of whoever declared it, not of the user.
Node default_of(const Schema::Field& field, const Node& map, const std::string& path) {
  Validator validator;
  std::string fault;
  try {
    Node value = parse_value(*field.default_yaml, "default");
    set_origin(value, map.place, true);
    value = validator.check(value, field.schema, path);
    if (validator.findings().empty()) return value;
    fault = validator.findings().front().what;
  } catch (const UserError& error) {
    fault = error.what();
  }
  throw InternalError(fmt::format("the default '{}' of '{}' does not fit: {}", *field.default_yaml, path, fault));
}

}  // namespace

Node Validator::check(const Node& node, const Schema& schema, const std::string& path) {
  if (node.is_null() && schema.nullable_) return node;
  if (schema.kind_ == Schema::Kind::either) return check_either(node, schema, path);
  if (node.is_null()) {
    report_null(node, schema, path);
    return node;
  }
  Shape shape;
  switch (schema.kind_) {
    case Schema::Kind::boolean: check_boolean(node, schema, path); break;
    case Schema::Kind::integer:
    case Schema::Kind::number: check_number(node, schema, path); break;
    case Schema::Kind::text: check_text(node, schema, path); break;
    case Schema::Kind::duration: check_duration(node, schema, path); break;
    case Schema::Kind::tensor: check_tensor(node, schema, path, 0, shape); break;
    case Schema::Kind::list: return check_list(node, schema, path);
    case Schema::Kind::map: return check_map(node, schema, path);
    case Schema::Kind::choice: return check_choice(node, schema, path);
    case Schema::Kind::either: break;
  }
  return node;
}

Node Validator::check_list(const Node& node, const Schema& schema, const std::string& path) {
  if (!node.is_list()) {
    report_type(node, schema, path, node.is_scalar() ? "a list is written [a, b]" : "");
    return node;
  }
  check_length(node, schema, path);
  Node checked = shell_of(node, Node::Kind::list);
  for (std::size_t i = 0; i < node.list.size(); ++i)
    checked.list.push_back(check(node.list[i], *schema.first_, path_to(path, i)));
  return checked;
}

Node Validator::check_map(const Node& node, const Schema& schema, const std::string& path) {
  if (!node.is_map()) {
    const bool lacks_space = node.is_scalar() && node.scalar.find(':') != std::string::npos;
    report_type(node, schema, path, lacks_space ? "write a space after the colon" : "");
    return node;
  }
  const Schema* choice = std::exchange(choice_, nullptr);
  report_missing(node, schema, path);
  Node as_written = shell_of(node, Node::Kind::map);
  for (const auto& [key, value] : node.map) {
    if (const Schema::Field* field = field_named(schema, key))
      as_written.map.emplace_back(key, check(value, field->schema, path_to(path, key)));
    else
      report_unknown_name(value.key_place, schema, path, key, names_of(schema.fields()), "key",
                          choice != nullptr && field_named(*choice, key) != nullptr
                              ? fmt::format("{} is {} of its own: write {}: {{…}}, not inside another one", shown(key),
                                            with_article(choice->noun_), key)
                              : "");
  }
  Node checked = shell_of(node, Node::Kind::map);
  for (const Schema::Field& field : schema.fields()) {
    if (Node* value = as_written.find(field.name))
      checked.map.emplace_back(field.name, std::move(*value));
    else if (field.default_yaml)
      checked.map.emplace_back(field.name, default_of(field, node, path_to(path, field.name)));
  }
  return checked;
}

Node Validator::check_choice(const Node& node, const Schema& schema, const std::string& path) {
  if (node.is_list()) report_type(node, schema, path);
  if (node.is_map() && node.map.size() != 1) report_one_key_wanted(node, schema, path);
  const bool is_entry = node.is_map() && node.map.size() == 1;
  if (!node.is_scalar() && !is_entry) return node;

  const std::string& name = is_entry ? node.map[0].first : node.scalar;
  const Node& written = is_entry ? node.map[0].second : node;
  Node parameters = is_entry && !written.is_null() ? written : shell_of(written, Node::Kind::map);
  if (!is_entry) parameters.key_place = node.place;
  const Schema::Field* alternative = field_named(schema, name);
  if (alternative == nullptr) {
    report_unknown_name(parameters.key_place, schema, path, name, names_of(schema.fields()), schema.noun_);
    return node;
  }
  Node checked = shell_of(node, Node::Kind::map);
  choice_ = &schema;
  checked.map.emplace_back(name, check(parameters, alternative->schema, path));
  return checked;
}

Node Validator::check_either(const Node& node, const Schema& schema, const std::string& path) {
  const bool is_container = node.is_list() || node.is_map();
  const Schema& likely = is_container ? *schema.second_ : *schema.first_;
  const Schema& other = is_container ? *schema.first_ : *schema.second_;
  if (node.is_null() || accepts(likely, node.kind)) return check(node, likely, path);
  if (accepts(other, node.kind)) return check(node, other, path);
  report_type(node, schema, path);
  return node;
}

Node validate(const Node& root, const Schema& schema) {
  Validator validator;
  Node checked = validator.check(root, schema, "");
  if (!validator.findings().empty()) throw UserError(ExitCode::bad_config, validator.findings());
  return checked;
}

}  // namespace backplane::config
