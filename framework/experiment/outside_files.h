#pragma once

#include <optional>
#include <string>

#include "experiment/experiment.h"

namespace backplane {

/// A sentence that names the files which the experiment reads from outside the folder of its YAML file, and outside of
/// where data sets are looked for by name; nothing where there are none. What a file holds goes into the checkpoints of
/// a run, so whoever runs a stranger's experiment is to know what it reads.
std::optional<std::string> note_of_outside_files(const Experiment& experiment, const DataSet& data);

}  // namespace backplane
