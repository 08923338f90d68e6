#pragma once

#include "config/schema.h"
#include "data/dataset.h"

namespace backplane {

/// The schema of the YAML section `data:` — a choice of the formats: idx, cifar10, csv, text, …
config::Schema data_schema();

/// Whether what a validated `data:` section names has labels, else target vectors.
bool has_labels(const config::Node& section);

/// Loads what a validated `data:` section names. `seed` decides splits and synthetic samples: the same section and
/// seed give the same bits. Relative paths are looked for beside nothing but the working directory.
///
/// HDF5 files are read by a forked child, so this is called before the program starts a thread.
///
/// Throws UserError: no_input where a file is missing (naming every place that was looked at), bad_data where one is
/// truncated, foreign, oversized or inconsistent (naming the file, what was expected and what was found), bad_config
/// where the section asks for something the data cannot give (a validation split larger than the training set).
DataSet load_data(const config::Node& section, std::uint64_t seed);

}  // namespace backplane
