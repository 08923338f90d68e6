#include "files/temporary_directory.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>

#include "base/system_error.h"
#include "files/temporaries.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

constexpr const char* kRemedy = "set TMPDIR to a directory with room for some checkpoints";

fs::path parent_of_all() {
  const char* named = std::getenv("TMPDIR");
  const fs::path path = named != nullptr && *named != '\0' ? named : "/tmp";
  std::error_code error;
  if (!fs::is_directory(path, error))
    throw UserError(ExitCode::io,
                    fmt::format("{}: there is no such directory for temporary files{}", path.string(),
                                error && error.value() != ENOENT ? ": " + reason_of(error.value()) : ""),
                    kRemedy);
  return path;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(const std::string& name) {
  const fs::path below = parent_of_all();
  path_ = make_temporary(/*is_folder=*/true, [&] {
    std::string pattern = (below / (name + "-XXXXXX")).string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw UserError(ExitCode::io,
                      fmt::format("{}: no directory can be made there: {}", below.string(), reason_of(errno)), kRemedy);
    return fs::path(pattern);
  });
}

TemporaryDirectory::~TemporaryDirectory() {
  remove_temporary(path_);
}

}  // namespace backplane
