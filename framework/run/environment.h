#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "data/dataset.h"
#include "plugin_host/registry.h"

namespace backplane {

/// What a run's bits may depend on besides its configuration: program, compiler, CPU, instruction set, libraries,
/// plug-ins and data files with their hashes, and the data as it was loaded, with what was concluded of it
/// (`data_findings`). `threads` is recorded although no bit depends on it. Names of files may hold bytes that JSON
/// cannot; they stand there as `printable` shows them.
nlohmann::ordered_json describe_environment(const Registry& registry, const DataSet& data, int threads);

/// The versions among them, as comment lines at the head of config.yaml.
std::string describe_versions(const Registry& registry);

}  // namespace backplane
