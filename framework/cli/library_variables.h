#pragma once

namespace backplane::cli {

/// Deals with variables of the environment that make a library print among results, or end the process: the former are
/// taken out, aloud; the latter throw UserError (bad_config). REQUIRES: no library has read them, no thread runs.
void settle_library_variables();

}  // namespace backplane::cli
