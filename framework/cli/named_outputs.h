#pragma once

#include <vector>

#include "files/named_file.h"

namespace backplane::cli {

/// Before a command begins: throws UserError (usage) where what it is to write would destroy an input, another output
/// or a file of a run, or would stand among messages. Where an output goes to stdout, results go to stderr from now on.
void settle_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs);

}  // namespace backplane::cli
