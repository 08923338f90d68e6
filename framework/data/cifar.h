#pragma once

#include <string>
#include <vector>

#include "data/table.h"

namespace backplane {

/// The binary version of CIFAR (Krizhevsky 2009): records of one byte for the class (CIFAR-100: two, of the coarse and
/// of the fine class), then 32 · 32 bytes each of red, green and blue, row by row.
enum class Cifar { ten, hundred };

/// The folder that the official archive unpacks to: "cifar-10-batches-bin".
std::string cifar_folder(Cifar which);

/// The subfolder of that name in the first of `folders` that has it. Throws UserError (no_input) where none has.
std::string find_cifar(Cifar which, const std::vector<std::string>& folders);

/// Samples are bytes [32, 32, 3], labels the (fine) classes, named where `folder` has the file of names. The files may
/// be gzip and hold any number of records. Throws UserError: no_input where a file is missing; bad_data where one is
/// truncated, empty or too large, or a label is no class.
DataSet load_cifar(Cifar which, const std::string& folder);

}  // namespace backplane
