#pragma once

#include <backplane/abi.h>

#include <string>
#include <string_view>
#include <vector>

#include "config/schema.h"

namespace backplane {

/// Adds the declared attributes to `map` as fields: kinds, ranges, choices, defaults and summaries become the
/// schema's, so that a plug-in's YAML is checked like the program's own.
void add_attributes(config::Schema& map, const bp_attribute* const* attributes, std::uint32_t count);

/// The default of an attribute that is not required, as it would be written in YAML: `true`, `0.5`, `"plus"`.
std::string default_yaml(const bp_attribute& attribute);

/// The values of declared attributes, read from a validated node; pointers in them live as long as this object.
class AttributeValues {
 public:
  AttributeValues(const config::Node& node, const bp_attribute* const* attributes, std::uint32_t count);
  AttributeValues(const AttributeValues&) = delete;
  AttributeValues& operator=(const AttributeValues&) = delete;
  const bp_attribute_value* data() const { return values_.data(); }

 private:
  std::vector<bp_attribute_value> values_;
  std::vector<std::vector<std::int64_t>> lists_;
};

/// Whether `key` is one that every layer has (name, inputs, activation, …), so that no attribute may be called so.
bool is_common_layer_key(std::string_view key);

}  // namespace backplane
