#pragma once

#include <stdexcept>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// How the numbers of a file are stored. Weights are made of the first four; of `other` only the name is known.
enum class Element { float16, bfloat16, float32, float64, other };

std::size_t size_of(Element element);

/// One tensor of a file, its place and size checked, its numbers not yet read.
struct WeightEntry {
  std::string name;
  Shape shape;
  Element element = Element::other;
  std::string stored_type;       ///< as the file says: "F32", "<f4"
  bool is_column_major = false;  ///< NumPy's fortran_order
  /// The numbers as the file has them, little-endian: size_of(element) × elements bytes. Throws UserError (bad_data).
  /// Empty of `other`.
  std::function<std::vector<char>()> load;
};

/// A file of weights: safetensors, npz, or a checkpoint. Entries share the file's bytes, which live as long as they.
struct WeightFile {
  std::string path;
  std::vector<WeightEntry> entries;
};

/// Tells the kind by the first bytes. Of a checkpoint, weights and running statistics are taken. No number is read and
/// no memory for it asked for before the caller has compared shapes.
/// Throws UserError: no_input where the file is missing; bad_data where it is of no such kind, or breaks its format.
WeightFile open_weight_file(const std::string& path);

/// Reads an entry as row-major numbers of `dtype` into `values`, which has room for them. Wider numbers are rounded to
/// nearest, narrower ones are exact. Throws UserError (bad_data) where one is NaN or infinite, or becomes so.
void read_values(const WeightFile& file, const WeightEntry& entry, DType dtype, void* values);

/// The number of elements. Throws std::runtime_error, in words, where it, or its size in bytes, cannot be counted or
/// has more than 32 axes.
std::size_t checked_count(const Shape& shape, std::size_t element_bytes);

}  // namespace backplane
