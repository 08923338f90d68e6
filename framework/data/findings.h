#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace backplane {

/// One thing that the program concluded, or computed, about its data: what the experiment does not say itself. It
/// stands in the dry run, in summary.json, and in /environment of checkpoints.
struct Finding {
  using Value = std::variant<bool, std::int64_t, std::string, std::vector<std::int64_t>, std::vector<double>,
                             std::vector<std::string>>;

  std::string name;  ///< its key in JSON: "class_names"
  Value value;
};

struct DataSet;

/// All findings: those that the source reported, then splits, classes and scaling constants as they are at last.
std::vector<Finding> findings_of(const DataSet& data);

/// A finding on one line: lists are cut behind a few items, and say how many there are.
std::string in_short(const Finding& finding);

}  // namespace backplane
