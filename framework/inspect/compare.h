#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "inspect/print_in_child.h"
#include "inspect/tensor_file.h"
#include "tensor/ulps.h"

namespace backplane {

/// Two elements at the same place.
struct ElementPair {
  std::int64_t index = 0;  ///< in row-major order
  double a = 0.0, b = 0.0;
  std::uint64_t bits_a = 0, bits_b = 0;
  std::uint64_t ulps = 0;
};

/// How two tensors of one shape and type differ. NaN has no distance: such pairs are counted in `differing` and in
/// `without_distance`, and are left out of the largest distances.
struct TensorDifference {
  std::int64_t elements = 0, differing = 0, without_distance = 0;
  double most_absolute = 0.0;
  double most_relative = 0.0;  ///< |a − b| / max(|a|, |b|)
  std::uint64_t most_ulps = 0;
  std::optional<ElementPair> first;

  void add(const TensorDifference& other);
};

/// What the comparison has to know of elements, other than how they are read.
struct ElementRules {
  bool is_half = false;   ///< float16 read as float32: ULPs and shown bits are those of float16
  bool is_whole = false;  ///< whole numbers read as float64: no tolerance holds, ULPs are 0
  bool may_lack =
      false;  ///< NaN says that there was nothing to compute it from: where one alone is NaN, it is left out
};

/// Compares a run of elements, the first of which has index `first`. Two elements differ where their bits do; with a
/// tolerance, where they are more than so many ULPs apart.
TensorDifference compare(const Buffer& a, const Buffer& b, DType dtype, std::int64_t first, std::int64_t count,
                         const std::optional<std::uint64_t>& tolerance, const ElementRules& rules = {});

/// Says what differs between two checkpoints or two traces: the first element, in the order in which it was computed
/// (step by step; forward through the layers, then back), then every tensor. Returns whether they are equal. Throws
/// UserError (bad_data) where one is a checkpoint and the other a trace.
bool compare_files(const TensorFile& a, const TensorFile& b, const std::optional<std::uint64_t>& tolerance,
                   const Print& print);

}  // namespace backplane
