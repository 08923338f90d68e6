#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/table.h"

namespace backplane {

/// A column as the experiment names it: by its header, or counted from 0 in a file without header.
struct CsvColumn {
  std::string name;
  Origin origin{{}, {}, ExitCode::bad_config};  ///< where the YAML names it
};

struct CsvOptions {
  std::string train;
  std::optional<std::string> test;
  char delimiter = ',';
  std::optional<bool> header;       ///< nothing: there is one; a first line that looks like a sample is refused
  std::optional<CsvColumn> labels;  ///< class numbers (3, 3.0), or names where one of them is a word
  std::vector<CsvColumn> targets;   ///< where there are no labels
  std::vector<CsvColumn> inputs;    ///< empty: all named columns but labels and targets
};

/// Class names are sorted and numbered over the training file; the test file may hold no other names and must have
/// the same header. Blanks around a field are no part of it, unless they stand in quotes. Numbers are kept as float64.
/// Errors name file, line and column.
DataSet load_csv(const CsvOptions& options);

}  // namespace backplane
