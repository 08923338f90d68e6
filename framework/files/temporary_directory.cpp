#include "files/temporary_directory.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <set>

#include "base/mutex.h"
#include "base/system_error.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

// Those of this process.
Mutex mutex;
std::set<fs::path> alive BP_GUARDED_BY(mutex);

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
  const MutexLock lock(mutex);
  std::string pattern = (below / (name + "-XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw UserError(ExitCode::io,
                    fmt::format("{}: no directory can be made there: {}", below.string(), reason_of(errno)), kRemedy);
  path_ = pattern;
  alive.insert(path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  const MutexLock lock(mutex);
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  alive.erase(path_);
}

void remove_temporary_directories_at_end() BP_NOT_FOLLOWED {
  mutex.lock();               // for good: none is made any more
  constexpr int kTries = 10;  // other threads may make files meanwhile
  std::error_code error;
  for (const fs::path& path : alive)
    for (int i = 0; i < kTries && (fs::remove_all(path, error), error); ++i) {
    }
}

}  // namespace backplane
