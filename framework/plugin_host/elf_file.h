#pragma once

#include <string>

namespace backplane {

/// Why `path` cannot be a shared library of this machine, as the end of the sentence "… is not a plug-in: …", or ""
/// where nothing speaks against it. Runs no code of the file; a cut-off file would otherwise end the process with
/// SIGBUS inside the dynamic loader.
std::string why_not_loadable(const std::string& path);

}  // namespace backplane
