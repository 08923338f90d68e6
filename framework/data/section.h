#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/schema.h"
#include "data/dataset.h"
#include "data/prepare.h"

namespace backplane {

// What sources share of the YAML section `data:`. `options` is what was written for the source, validated.

/// Adds the keys that say how samples are split: limit, validation.
config::Schema with_splits(config::Schema map);

/// Adds these, and those that say how numbers are scaled and images changed: scale, normalize, augment.
config::Schema with_preparation(config::Schema map);

/// Where a value is written. `path`, for messages, leaves the name of a chosen alternative out, as those of `validate`
/// do: "data.labels".
Origin origin_of(const config::Node& node, const std::string& path);

/// That of a list of numbers, which knows where each of them is written.
Origin origin_of_numbers(const config::Node& list, const std::string& path);

/// Whether `first` was written; that both or neither of the two were is an error (bad_config).
bool has_first(const config::Node& map, const std::string& first, const std::string& second,
               const std::string& path = "data");

std::optional<std::string> optional_text(const config::Node& map, const std::string& key);

/// The file of the test split, where `test` names one rather than a part of the training file.
std::optional<std::string> test_file(const config::Node& options);

/// The part of the training samples that `test` asks for; none where it names a file, or is not there.
Part test_part(const config::Node& options);

/// Splits, scales and augments what a source has loaded, as with_splits and with_preparation let the user write.
/// Throws as `prepare` does.
DataSet prepared(DataSet data, const config::Node& options, std::uint64_t seed, const Part& test = {});

}  // namespace backplane
