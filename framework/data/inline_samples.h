#pragma once

#include <optional>

#include "config/schema.h"
#include "data/table.h"

namespace backplane {

/// Samples written in the experiment itself.
struct InlineSplit {
  config::TensorLiteral inputs;
  Origin inputs_origin;
  config::TensorLiteral targets;
  bool targets_are_labels = false;
  Origin targets_origin;
  std::optional<Table> lengths{};  ///< int64: valid steps of each sample
};

struct InlineOptions {
  InlineSplit train;
  std::optional<InlineSplit> test;
};

/// A plain list of inputs is samples of one number each. Numbers are kept as float64.
DataSet load_inline(const InlineOptions& options);

}  // namespace backplane
