#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/schema.h"
#include "data/dataset.h"

namespace backplane {

/// Whether validated options have no key `targets`, at any depth: all splits have one, or none.
bool name_no_targets(const config::Node& options);

/// A row of the table of data sources.
struct DataSource {
  std::string name;  ///< the word in the YAML
  std::string doc;
  config::Schema options;
  /// Loads, splits and scales what the validated options name. Throws as load_data does.
  DataSet (*load)(const config::Node& options, std::uint64_t seed);
  /// Whether what they name has labels, else target vectors.
  bool (*has_labels)(const config::Node& options) = name_no_targets;
};

/// All of them, as they are shown. Each is one file in sources/ and one row.
const std::vector<DataSource>& data_sources();

/// The schema of the YAML section `data:`.
config::Schema data_schema();

/// Whether what a validated `data:` section names has labels, else target vectors.
bool has_labels(const config::Node& section);

/// Loads what a validated `data:` section names. `seed` decides splits and synthetic samples: the same section and
/// seed give the same bits. Relative paths are looked for beside nothing but the working directory.
///
/// Throws UserError: no_input where a file is missing (naming every place that was looked at), bad_data where one is
/// truncated, foreign, oversized or inconsistent (naming the file, what was expected and what was found), bad_config
/// where the section asks for something the data cannot give (a validation split larger than the training set).
DataSet load_data(const config::Node& section, std::uint64_t seed);

}  // namespace backplane
