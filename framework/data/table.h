#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "data/dataset.h"
#include "data/origin.h"
#include "files/descriptor.h"
#include "tensor/shape.h"

namespace backplane {

/// Pieces of a table that no program ever wrote: `value` stands for each of their elements.
struct Unwritten {
  std::int64_t chunks = 0;
  std::int64_t of = 0;  ///< all chunks of the table; 1 where it is stored as a whole
  double value = 0;
};

/// Numbers as a file holds them; the first axis of `dims` counts samples. Whole numbers (int64) are class labels.
struct Table {
  Shape dims;
  std::variant<std::vector<std::uint8_t>, std::vector<float>, std::vector<double>, std::vector<std::int64_t>> values;
  Origin origin;
  Unwritten unwritten{};
};

/// One split as it was read, before anything is checked across tables.
struct RawSplit {
  Table inputs;
  Table targets;                   ///< int64: labels, one a sample or of one shape for each; double: target vectors
  std::optional<Table> lengths{};  ///< int64: valid steps of each sample
};

/// Which elements of a table follow the valid steps of their sample. Whatever they are, nothing is learned from them,
/// as long as the table's steps are those of the network's outputs: `Loss` sees to that.
class Padding {
 public:
  Padding() = default;  ///< There are none.

  static Padding of_inputs(const RawSplit& split) { return {split, split.inputs, 0}; }
  /// Of class numbers (also where they are no int64 yet), or of target vectors: where these have the inputs' steps.
  static Padding of_targets(const RawSplit& split, bool are_labels) {
    return {split, split.targets, are_labels ? 1u : 2u};
  }

  bool holds(std::int64_t element) const {
    return lengths_ != nullptr && element % width_ >= (*lengths_)[static_cast<std::size_t>(element / width_)] * step_;
  }

 private:
  /// There is none where the table has no more axes than `axes_of_vectors`, or another number of samples or steps.
  Padding(const RawSplit& split, const Table& table, std::size_t axes_of_vectors);

  const std::vector<std::int64_t>* lengths_ = nullptr;  ///< those of the split, which must outlive this
  std::int64_t width_ = 1;                              ///< elements of a sample
  std::int64_t step_ = 1;                               ///< elements of a step
};

/// The most bytes that a table may take in memory. A larger one is refused before memory is taken.
inline constexpr std::int64_t kMostBytes = std::int64_t{4} << 30;

/// Deflate shrinks data by this factor at most, so a shorter file cannot hold what its header promises.
inline constexpr std::int64_t kMostDeflateRatio = 1032;

/// Opens a file of data. Throws UserError (no_input) where `path` is not a regular file that can be read.
Descriptor open_data(const std::string& path);

/// Bytes that this machine, and the control groups of this process (a container, a job of a scheduler), can still give
/// beyond what their processes hold; as many as there can be where nothing tells. `root` stands before /proc and /sys:
/// tests put their own there.
std::int64_t available_memory(const std::string& root = "");

/// Throws by `origin` where so many bytes, which the samples are about to take, are more than that.
void require_memory(const Origin& origin, std::int64_t bytes);

/// Bytes of a table of these extents. Throws by `origin` where an extent is not positive or the bytes exceed
/// kMostBytes; the product never overflows.
std::int64_t table_bytes(const Origin& origin, const Shape& dims, std::size_t element_size);

/// Makes a data set without validation split. Throws by the table's origin where counts or shapes disagree, a value
/// is not finite, a label is negative or too large, or a length is not in [1, first extent of a sample]. `classes`
/// becomes the largest label + 1. Of steps beyond a sample's length all may be any: labels become 0, and so do inputs
/// that are not finite in float32, since layers compute with them though nothing comes of it. Target vectors stay as
/// they are, finite or not, since they count where the network's outputs are no steps.
DataSet assemble(RawSplit train, std::optional<RawSplit> test);

}  // namespace backplane
