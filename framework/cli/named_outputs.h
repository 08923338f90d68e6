#pragma once

#include <optional>
#include <string>
#include <vector>

#include "files/named_file.h"
#include "files/output.h"

namespace backplane::cli {

/// Before a command begins: throws UserError (usage) where what it is to write would destroy an input, another output
/// or a file of a run, or would stand among messages. Where an output goes to stdout, results go to stderr from now on.
void settle_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs);

/// The output of a word of the command line; none where the word was not given.
std::optional<Output> output_of(const std::string& path);

}  // namespace backplane::cli
