#pragma once

#include "sandbox/child_program.h"

namespace backplane::cli {

/// Deals with variables of the environment that make a library print among results, or end the process: the former are
/// taken out, aloud; the latter throw UserError (bad_config). REQUIRES: no library has read them, no thread runs.
void settle_library_variables();

/// What a child does for it.
extern const ChildJob kTryBlis;

}  // namespace backplane::cli
