#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "inspect/values.h"

namespace backplane {

/// What print_overview shows, for machines: of every record, shapes, labels, definitions and statistics. Not a number
/// and infinite ones are null.
nlohmann::ordered_json overview_as_json(const TensorFile& file, const std::string& layer);

/// What print_values shows: all elements of the selection as one list, in row-major order.
nlohmann::ordered_json numbers_as_json(const TensorFile& part, const std::string& layer);
nlohmann::ordered_json values_as_json(const TensorFile& file, const Selection& selection);

/// Two blanks a level; all but ASCII is escaped, so that a file's texts are safe anywhere.
std::string to_text(const nlohmann::ordered_json& json);

}  // namespace backplane
