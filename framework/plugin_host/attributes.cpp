#include "plugin_host/attributes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace backplane {

namespace {

config::Schema schema_of(const bp_attribute& attribute) {
  const auto ranged = [&](config::Schema schema) { return schema.at_least(attribute.min).at_most(attribute.max); };
  switch (attribute.kind) {
    case BP_ATTRIBUTE_BOOL: return config::Schema::boolean();
    case BP_ATTRIBUTE_INT: return ranged(config::Schema::integer());
    case BP_ATTRIBUTE_FLOAT: return ranged(config::Schema::number());
    case BP_ATTRIBUTE_INT_LIST: {  // one number may stand without brackets
      const config::Schema item = ranged(config::Schema::integer());
      return config::Schema::either(item, config::Schema::list(item));
    }
    default: break;
  }
  if (attribute.choices == nullptr) return config::Schema::text();
  std::vector<std::string> choices;
  for (const char* const* choice = attribute.choices; *choice != nullptr; ++choice) choices.emplace_back(*choice);
  return config::Schema::text_of(std::move(choices));
}

}  // namespace

std::string default_yaml(const bp_attribute& attribute) {
  const bp_attribute_value& value = attribute.initial;
  switch (attribute.kind) {
    case BP_ATTRIBUTE_BOOL: return value.integer != 0 ? "true" : "false";
    case BP_ATTRIBUTE_INT: return fmt::format("{}", value.integer);
    case BP_ATTRIBUTE_FLOAT: return fmt::format("{}", value.number);
    case BP_ATTRIBUTE_INT_LIST:
      return fmt::format("[{}]", fmt::join(value.integers, value.integers + value.integer, ", "));
    default: break;
  }
  std::string text = config::to_yaml(config::Node::text(value.text == nullptr ? "" : value.text));
  text.pop_back();  // a value within a line, without the newline that ends a document
  return text;
}

void add_attributes(config::Schema& map, const bp_attribute* const* attributes, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const bp_attribute& attribute = *attributes[i];
    const std::string summary = attribute.summary == nullptr ? "" : attribute.summary;
    if (attribute.required != 0)
      map.required(attribute.name, schema_of(attribute), summary);
    else
      map.optional(attribute.name, schema_of(attribute), default_yaml(attribute), summary);
  }
}

AttributeValues::AttributeValues(const config::Node& node, const bp_attribute* const* attributes, std::uint32_t count)
    : values_(count), lists_(count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const config::Node& given = node.at(attributes[i]->name);
    bp_attribute_value& value = values_[i];
    switch (attributes[i]->kind) {
      case BP_ATTRIBUTE_BOOL: value.integer = given.as_bool() ? 1 : 0; break;
      case BP_ATTRIBUTE_INT: value.integer = given.as_integer(); break;
      case BP_ATTRIBUTE_FLOAT: value.number = given.as_number(); break;
      case BP_ATTRIBUTE_INT_LIST:
        if (given.is_scalar()) lists_[i].push_back(given.as_integer());
        for (const config::Node& item : given.list) lists_[i].push_back(item.as_integer());
        value.integer = static_cast<std::int64_t>(lists_[i].size());
        value.integers = lists_[i].data();
        break;
      default: value.text = given.as_text().c_str(); break;
    }
  }
}

bool is_common_layer_key(std::string_view key) {
  constexpr std::array<std::string_view, 7> kKeys{"name", "inputs", "activation", "init", "trainable", "l1", "l2"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

}  // namespace backplane
