#pragma once

#include <string>

#include "inspect/print_in_child.h"
#include "inspect/tensor_file.h"

namespace backplane {

/// The file layer by layer, as text: of a checkpoint's tensors shape, range, mean, deviation and norm, and small layers
/// number by number (worked_example.h); of a trace's the same over steps, thinned to some 12 records unless `all`.
/// `layer`: that one alone; empty: each. Throws UserError (usage) where a checkpoint has no such layer; of a trace's
/// layers some may have statistics only.
void print_overview(const TensorFile& file, const std::string& layer, bool all, const Print& print);

/// The statistics that a trace records, tensor by tensor over steps, in the order of recorder/FORMAT.md; `file` is that
/// part of it. Nothing where it has none.
void print_recorded_statistics(const TensorFile& file, const std::string& layer, bool all, const Print& print);

/// Throws UserError (usage) with the nearest unless one of two parts of a trace has the layer.
void require_layer(const TensorFile& tensors, const TensorFile& statistics, const std::string& name);

/// The layer of that name. Throws UserError (usage) with the nearest.
const FileLayer& find_layer(const TensorFile& file, const std::string& name);

/// "[sample 32, unit 512]"
std::string labelled_shape(const FileTensor& tensor);

/// `most` numbers from 0 to `count` − 1, first and last among them, evenly spread; all where they are no more.
std::vector<std::size_t> thinned(std::size_t count, std::size_t most);

}  // namespace backplane
