#pragma once

#include <optional>
#include <string>

#include "data/table.h"

namespace backplane {

/// Names of data sets inside the files: "/train/images".
struct Hdf5Options {
  std::string train;
  std::optional<std::string> test;
  std::string inputs;
  std::string targets;
  bool targets_are_labels = true;        ///< whole numbers, one a sample
  std::optional<std::string> lengths{};  ///< whole numbers, the valid steps of each sample
};

/// Reads tables of numbers: bytes stay bytes, float32 and narrower become float, all else double. A rank-1 table holds
/// samples of one number each.
///
/// HDF5 1.10 crashes on damaged files, so a forked child does the reading (isolation.h: no other thread may run), and
/// what lets a file reach outside itself or run code is refused: soft, external and user-defined links, external
/// storage, virtual data sets, and filters that are not HDF5's own.
DataSet load_hdf5(const Hdf5Options& options);

}  // namespace backplane
