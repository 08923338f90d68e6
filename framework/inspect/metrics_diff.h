#pragma once

#include <string>

#include "inspect/print_in_child.h"

namespace backplane {

/// Compares two metrics.jsonl line by line, in what a run promises to compute alike: all but samples_per_s, the time it
/// took. Says the first line that differs and returns whether none does. Throws UserError (bad_data) where a line is no
/// JSON object.
bool compare_metrics(const std::string& a, const std::string& b, const Print& print);

}  // namespace backplane
