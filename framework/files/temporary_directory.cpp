#include "files/temporary_directory.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/error.h"

namespace backplane {

namespace fs = std::filesystem;

fs::path temporary_directory() {
  const char* named = std::getenv("TMPDIR");
  const fs::path path = named != nullptr && *named != '\0' ? named : "/tmp";
  std::error_code error;
  if (!fs::is_directory(path, error))
    throw UserError(ExitCode::io, fmt::format("{}: there is no such directory for temporary files", path.string()),
                    "set TMPDIR to a directory with room for some checkpoints");
  return path;
}

}  // namespace backplane
