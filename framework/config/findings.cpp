// The part of the validator that words what it has found.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/suggest.h"
#include "config/scalar.h"
#include "config/validate.h"

namespace backplane::config {

namespace {

constexpr std::size_t kMostFindings = 20;

/// The key that names a value points better than the value, which may be empty or begin lines below; but where
/// --set replaced the value under a key of the file, the word is the place.
const Place& place_of(const Node& node) {
  return node.key_place.source == node.place.source ? node.key_place : node.place;
}

std::string last_part(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string::npos ? path : path.substr(dot + 1);
}

/// "sgd: {lr: 0.1}", as one writes it on one line.
std::string in_flow_style(const std::string& key, const Node& value) {
  std::string inside;
  if (value.is_scalar()) inside = value.scalar;
  if (value.is_list()) inside = "[…]";
  for (const auto& [name, item] : value.map) inside += (inside.empty() ? "" : ", ") + in_flow_style(name, item);
  return fmt::format("{}: {}", key, value.is_map() ? "{" + inside + "}" : inside);
}

}  // namespace

std::vector<std::string> names_of(const std::vector<Schema::Field>& fields) {
  std::vector<std::string> names;
  for (const Schema::Field& field : fields) names.push_back(field.name);
  return names;
}

void Validator::add(Diagnostic finding, const Schema& schema) {
  if (findings_.size() == kMostFindings) return;
  const bool has_both = !finding.hint.empty() && !schema.hint_.empty();
  finding.hint += (has_both ? "; " : "") + schema.hint_;
  findings_.push_back(std::move(finding));
}

void Validator::report(const Place& place, const Schema& schema, const std::string& path, std::string what,
                       std::string remedy) {
  Diagnostic finding;
  finding.place = place;
  finding.what = std::move(what);
  finding.path = path;
  finding.hint = std::move(remedy);
  add(std::move(finding), schema);
}

void Validator::report_type(const Node& node, const Schema& schema, const std::string& path, std::string remedy) {
  report(node.place, schema, path, fmt::format("expected {}, got {}", wanted(schema), shown(node)), std::move(remedy));
}

void Validator::report_null(const Node& node, const Schema& schema, const std::string& path) {
  const std::string subject = path.empty() ? "the document" : shown(last_part(path));
  report(place_of(node), schema, path, fmt::format("{} has no value, expected {}", subject, wanted(schema)));
}

void Validator::report_missing(const Node& map, const Schema& schema, const std::string& path) {
  for (const Schema::Field& field : schema.fields())
    if (field.is_required && map.find(field.name) == nullptr)
      add({.place = place_of(map),
           .what = fmt::format("missing key {}", shown(field.name)),
           .path = path,
           .known =
               field.schema.kind_ == Schema::Kind::choice ? names_of(field.schema.fields()) : field.schema.choices_,
           .hint = fmt::format("`{}`: {}{}", field.name, field.doc, example_of(field.name, field.schema))},
          schema);
}

void Validator::report_unknown_name(const Place& place, const Schema& schema, const std::string& path,
                                    const std::string& name, const std::vector<std::string>& known, std::string noun,
                                    std::string remedy) {
  Diagnostic finding;
  finding.place = place;
  finding.what = fmt::format("unknown {} {}", noun, shown(name));
  finding.path = path;
  finding.nearest = nearest_name(name, known);
  finding.known = known;
  finding.hint = std::move(remedy);
  add(std::move(finding), schema);
}

void Validator::report_one_key_wanted(const Node& map, const Schema& schema, const std::string& path) {
  if (map.map.empty())
    return report(map.place, schema, path, fmt::format("expected {}, got an empty map", wanted(schema)));
  std::string keys;
  for (const auto& [key, value] : map.map) keys += (keys.empty() ? "" : ", ") + shown(key);
  const bool is_outdented = map.map[0].second.is_null();
  const bool is_override = map.map[1].second.key_place.source != map.map[0].second.key_place.source;
  report(map.map[1].second.key_place, schema, path,
         fmt::format("expected one {}, got {} keys: {}", schema.noun_, map.map.size(), in_short(keys)),
         is_outdented  ? fmt::format("indent what belongs to {} deeper", shown(map.map[0].first))
         : is_override ? fmt::format("to choose another one, set it as a whole: --set '{}={{{}}}'", path,
                                     in_flow_style(map.map[1].first, map.map[1].second))
                       : "");
}

std::string Validator::example_of(const std::string& key, const Schema& schema) {
  constexpr double kUsual = 64;
  std::string value;
  if (schema.kind_ == Schema::Kind::integer)
    value = fmt::format("{:.0f}", std::clamp(kUsual, schema.min_, schema.max_));
  if (schema.kind_ == Schema::Kind::choice && !schema.fields().empty()) {
    const Schema::Field& alternative = schema.fields().front();
    const std::vector<Schema::Field>& fields = alternative.schema.fields();
    if (!fields.empty() && fields[0].default_yaml)
      value = fmt::format("{{{}: {{{}: {}}}}}", alternative.name, fields[0].name, *fields[0].default_yaml);
  }
  return value.empty() ? "" : fmt::format("; for example {}: {}", key, value);
}

std::string Validator::wanted(const Schema& schema) {
  switch (schema.kind_) {
    case Schema::Kind::boolean: return "true or false";
    case Schema::Kind::integer: return "a whole number";
    case Schema::Kind::number: return "a number";
    case Schema::Kind::text: return "text";
    case Schema::Kind::duration: return "a number of steps or epochs";
    case Schema::Kind::tensor: return "a number or nested lists of numbers";
    case Schema::Kind::list: return "a list";
    case Schema::Kind::map: return "a map";
    case Schema::Kind::choice: return fmt::format("one {} (its name, or a map with one key)", schema.noun_);
    case Schema::Kind::either: return wanted(*schema.first_) + " or " + wanted(*schema.second_);
  }
  return {};
}

std::string Validator::allowed_range(const Schema& schema) {
  const std::string low = fmt::format("{} {}", schema.min_exclusive_ ? "above" : "at least", schema.min_);
  const std::string high = fmt::format("{} {}", schema.max_exclusive_ ? "below" : "at most", schema.max_);
  if (!std::isfinite(schema.max_)) return low;
  return std::isfinite(schema.min_) ? low + " and " + high : high;
}

bool Validator::accepts(const Schema& schema, Node::Kind kind) {
  switch (schema.kind_) {
    case Schema::Kind::list: return kind == Node::Kind::list;
    case Schema::Kind::map: return kind == Node::Kind::map;
    case Schema::Kind::tensor: return kind == Node::Kind::scalar || kind == Node::Kind::list;
    case Schema::Kind::choice: return kind == Node::Kind::scalar || kind == Node::Kind::map;
    case Schema::Kind::either: return accepts(*schema.first_, kind) || accepts(*schema.second_, kind);
    default: return kind == Node::Kind::scalar;
  }
}

}  // namespace backplane::config
