#pragma once

#include <filesystem>

namespace backplane {

/// $TMPDIR, or /tmp. Throws UserError (io) where that is no directory.
std::filesystem::path temporary_directory();

}  // namespace backplane
