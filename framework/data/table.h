#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "data/dataset.h"
#include "data/origin.h"
#include "tensor/shape.h"

namespace backplane {

/// Numbers as a file holds them; the first axis of `dims` counts samples. Whole numbers (int64) are class labels.
struct Table {
  Shape dims;
  std::variant<std::vector<std::uint8_t>, std::vector<float>, std::vector<double>, std::vector<std::int64_t>> values;
  Origin origin;
};

/// One split as it was read, before anything is checked across tables.
struct RawSplit {
  Table inputs;
  Table targets;                   ///< int64: labels, one a sample or of one shape for each; double: target vectors
  std::optional<Table> lengths{};  ///< int64: valid steps of each sample
};

/// The most bytes that a table may take in memory. A larger one is refused before memory is taken.
inline constexpr std::int64_t kMostBytes = std::int64_t{4} << 30;

/// Deflate shrinks data by this factor at most, so a shorter file cannot hold what its header promises.
inline constexpr std::int64_t kMostDeflateRatio = 1032;

/// Throws UserError (no_input) where `path` is not a regular file that can be read.
void require_file(const std::string& path);

/// Bytes that this machine, or the container, can still give; as many as there can be where neither tells.
std::int64_t available_memory();

/// Throws by `origin` where so many bytes of samples are more than that.
void require_memory(const Origin& origin, std::int64_t bytes);

/// Bytes of a table of these extents. Throws by `origin` where an extent is not positive or the bytes exceed
/// kMostBytes; the product never overflows.
std::int64_t table_bytes(const Origin& origin, const Shape& dims, std::size_t element_size);

/// Makes a data set without validation split. Throws by the table's origin where counts or shapes disagree, a value
/// is not finite, a label is negative or too large, or a length is not in [1, first extent of a sample]. `classes`
/// becomes the largest label + 1. Labels and target vectors of steps beyond a sample's length may be any; they become
/// 0.
DataSet assemble(RawSplit train, std::optional<RawSplit> test);

}  // namespace backplane
