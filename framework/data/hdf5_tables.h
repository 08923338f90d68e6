#pragma once

#include <optional>
#include <string>

#include "data/table.h"
#include "sandbox/child_program.h"

namespace backplane {

/// Names of data sets inside the files: "/train/images".
struct Hdf5Options {
  std::string train;
  std::optional<std::string> test;
  std::string inputs;
  std::string targets;
  bool targets_are_labels = true;        ///< whole numbers, one a sample or one for each of its steps
  std::optional<std::string> lengths{};  ///< whole numbers, the valid steps of each sample
};

/// Reads tables of numbers: bytes stay bytes, float32 and narrower and truth values become float, all else double:
/// in a float32 run, numbers of more than 53 bits are rounded twice, and may be one unit in the last place off. A
/// rank-1 table holds samples of one number each. Elements that were never written have the data set's fill value, and
/// are a finding and a warning. The axes of a data set that MATLAB wrote are taken in MATLAB's order: its first one
/// counts samples.
///
/// HDF5 1.10 crashes on damaged files, so a child does the reading (read_in_child.h), and what lets a file reach
/// outside itself or run code is refused: external and user-defined links, external storage, virtual data sets, and
/// filters that are not HDF5's own. A few bytes may stand for any number of elements: what bounds memory is kMostBytes
/// for each table and the child's limit.
DataSet load_hdf5(const Hdf5Options& options);

/// What the child of load_hdf5 does.
extern const ChildJob kReadHdf5;

}  // namespace backplane
