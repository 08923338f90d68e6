#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/table.h"

namespace backplane {

/// IDX, the format of MNIST (LeCun, Cortes, Burges 1998): 00 00, element type, number of axes, the extents as
/// big-endian 32-bit numbers, then the elements in row-major order. Plain or gzip, told apart by their first byte.

struct IdxPair {
  std::string images;  ///< unsigned bytes, float32 or float64; rank 2 or more
  std::string labels;  ///< unsigned bytes, rank 1
};

struct IdxOptions {
  IdxPair train;
  std::optional<IdxPair> test;
  bool rows = false;  ///< images of rank 3 are sequences of rows: a sample is [H, W]
};

/// Finds the four files of data set `name` (train-images-idx3-ubyte and so on, with or without .gz) in the first of
/// `folders` that has a subfolder of that name. Without both t10k files there is no test split.
/// Throws UserError (no_input) naming every place that was looked at.
IdxOptions find_idx(const std::string& name, const std::vector<std::string>& folders);

/// Reads one file whole; nothing may follow its elements. Takes no memory that the file's size does not warrant.
Table read_idx(const std::string& path);

/// Images of rank 3 (N, H, W) get a channel axis, unless they are read as rows: a sample is [H, W, 1].
DataSet load_idx(const IdxOptions& options);

}  // namespace backplane
