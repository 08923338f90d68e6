#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "inspect/print_in_child.h"
#include "inspect/tensor_file.h"

namespace backplane {

/// Which part of a file's tensor is meant.
struct Selection {
  std::string layer, tensor;
  std::optional<std::int64_t> sample;  ///< row of a per-sample tensor, from 0
  std::optional<std::int64_t> step;    ///< of a trace; none: the last record
};

/// A selection, found in its file.
struct Selected {
  const FileLayer* layer;
  const FileTensor* tensor;
  std::size_t record;
};

/// Throws UserError (usage) where the file holds no such thing, naming what there is.
Selected find(const TensorFile& file, const Selection& selection);

/// The tensor's elements as a table, the last axis across. Unless `all`, rows and columns in the middle are left out
/// where there are many, and how many is said.
void print_values(const TensorFile& file, const Selection& selection, bool all, const Print& print);

}  // namespace backplane
