#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "base/error.h"
#include "files/descriptor.h"

namespace backplane {

/// The directory that one run writes into, held against other runs by a lock for the life of this object.
///
/// What is held is the directory itself, not its name: where somebody moves it while the run goes on, the run follows,
/// and never touches what has its name by then.
///
/// An earlier run at the same place is gone on with, or moved aside to the first free of "<directory>.1", ".2", …, so
/// that nothing is overwritten. Where `directory` is a link, it stays: what it leads to is moved, and made. Throws
/// UserError (io) where the directory cannot be made or written, holds something that is no run, belongs to a run that
/// is still going on, or is to be gone on with and holds links where files of a run stand.
class RunDirectory {
 public:
  enum class Earlier { move_aside, go_on };
  RunDirectory(const std::string& directory, Earlier earlier);

  /// Throws UserError (io) where the directory of an earlier run is on a file system that is mounted read-only: what it
  /// holds can be read all the same.
  void require_writable() const;

  /// What a run writes into it besides the lock and the directory checkpoints/.
  static const std::set<std::string>& files();

  /// Whether a path, links followed, is a file that some run wrote, or goes on writing, in its directory.
  static bool is_file_of_run(const std::string& path);

  /// Whether a run wrote there, or goes on writing.
  static bool holds_run(const std::filesystem::path& directory);

  /// Throws UserError (io) where something other than a directory stands there.
  static void require_no_file(const std::string& directory);

  /// Throws UserError (usage) where a file that was named with `word` would lie in the directory of a run, or in what
  /// an earlier run there will be moved to: the run writes there itself.
  static void require_outside(const std::string& directory, const std::string& word, const std::string& path);

  /// Leads into the directory, wherever it stands by then, from this process alone: `spelled_out` before it is shown.
  /// Without /proc it is the name that the directory was given.
  std::string path(const std::string& name) const { return (place_ / name).string(); }
  /// Where the directory stands now: the name that it was given, as long as that leads to it.
  std::string text() const;
  /// A message whose paths are those of `path`, with paths that lead there for everybody.
  std::string spelled_out(const std::string& message) const;
  UserError spelled_out(const UserError& error) const;

  /// Throws UserError (io) where the directory, or its lock, was removed: nothing that is written from now on would be
  /// found.
  void require_held() const;

  /// Where an earlier run was moved to; empty where there was none.
  const std::string& moved_aside() const { return moved_aside_; }

 private:
  void hold(const std::filesystem::path& real);
  bool is_held_by(const std::string& path) const;

  std::filesystem::path directory_, place_;  ///< its name, and what leads to it under any name
  std::string moved_aside_;
  bool is_read_only_ = false;
  Descriptor held_, lock_;
};

}  // namespace backplane
