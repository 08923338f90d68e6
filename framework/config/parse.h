#pragma once

#include <string>
#include <string_view>

#include "config/node.h"

namespace backplane::config {

/// As parse_text, but an empty document is null: what stands behind `--set a=`, or the default of a field.
Node parse_value(std::string_view text, const std::string& source, const Limits& limits = {});

/// Gives a tree that no line of a file holds the place that stands for it.
void set_origin(Node& tree, const Place& place, bool is_default);

}  // namespace backplane::config
