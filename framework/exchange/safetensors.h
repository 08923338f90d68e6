#pragma once

#include <stdexcept>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "exchange/tensor_view.h"
#include "exchange/weight_file.h"

namespace backplane {

/// The format of Hugging Face's safetensors:
///
///   8 bytes    length of the header, little-endian
///   header     JSON: {"__metadata__": {text: text}, "<name>": {"dtype": "F32", "shape": [O, I],
///              "data_offsets": [begin, end]}, …}, padded with spaces
///   data       the tensors, row-major, little-endian, one behind the other; offsets count from here
///
/// Tensors are written in the order given. The header ends at a multiple of 8, so that data can be mapped.
std::string build_safetensors(const std::vector<TensorView>& tensors,
                              const std::map<std::string, std::string>& metadata);

/// Entries in the order of their data. Throws std::runtime_error, in words, unless the header has at most 100 MB and
/// its tensors, with room for their shapes, cover the data exactly, without holes or overlaps.
std::vector<WeightEntry> parse_safetensors(const std::shared_ptr<const std::string>& bytes);

}  // namespace backplane
