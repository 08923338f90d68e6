#pragma once

#include <filesystem>
#include <string>

namespace backplane {

/// A new directory in $TMPDIR, or in /tmp, under a name that nobody can foresee, for this user alone; gone, with what
/// it holds, at the end of this object or of the process.
class TemporaryDirectory {
 public:
  /// Throws UserError (io) where it cannot be made.
  explicit TemporaryDirectory(const std::string& name);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace backplane
