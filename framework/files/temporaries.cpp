#include "files/temporaries.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <vector>

#include "base/mutex.h"
#include "base/system_error.h"
#include "files/descriptor.h"

namespace backplane {

namespace fs = std::filesystem;

namespace {

/// Set aside for who empties a folder: one for each level of folders in it.
using Reserve = std::vector<Descriptor>;
constexpr int kLevels = 4;

// Those of this process.
Mutex mutex;
std::map<fs::path, Reserve> alive BP_GUARDED_BY(mutex);

Reserve reserve_for(const fs::path& folder) {
  Reserve reserve;
  for (int i = 0; i < kLevels; ++i) {
    reserve.emplace_back(::open(folder.c_str(), O_PATH | O_CLOEXEC));
    if (reserve.back()) continue;
    const int reason = errno;
    std::error_code ignored;
    fs::remove(folder, ignored);
    throw system_error(ExitCode::io, folder.string(), "cannot be opened", reason);
  }
  return reserve;
}

}  // namespace

fs::path make_temporary(bool is_folder, const std::function<fs::path()>& make) {
  const MutexLock lock(mutex);
  fs::path path = make();
  if (!path.empty()) alive[path] = is_folder ? reserve_for(path) : Reserve();
  return path;
}

void keep_temporary(const fs::path& path) {
  const MutexLock lock(mutex);
  alive.erase(path);
}

void remove_temporary(const fs::path& path) {
  const MutexLock lock(mutex);
  alive.erase(path);
  std::error_code ignored;
  if (::unlink(path.c_str()) != 0 && errno == EISDIR) fs::remove_all(path, ignored);
}

void remove_temporaries_at_end() BP_NOT_FOLLOWED {
  mutex.lock();               // for good: none is made any more
  constexpr int kTries = 10;  // other threads may make files meanwhile
  std::error_code error;
  for (auto& [path, reserve] : alive) {
    reserve.clear();
    for (int i = 0; i < kTries && (fs::remove_all(path, error), error); ++i) {
    }
  }
}

}  // namespace backplane
