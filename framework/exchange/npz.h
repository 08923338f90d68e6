#pragma once

#include <stdexcept>
#include <memory>
#include <string>
#include <vector>

#include "exchange/tensor_view.h"
#include "exchange/weight_file.h"

namespace backplane {

/// NumPy's npz: a zip archive of <name>.npy, stored as they are, in the order given, without dates: equal weights give
/// equal files. Throws InternalError where libzip fails.
std::string build_npz(const std::vector<TensorView>& tensors);

/// Entries in the order of the archive, packed (savez_compressed) or not. Of each only the header is unpacked here.
/// Throws std::runtime_error, in words, where the archive is damaged, a member is no array, a name stands twice, or a
/// member is not as long as its header says.
std::vector<WeightEntry> parse_npz(const std::shared_ptr<const std::string>& bytes);

}  // namespace backplane
