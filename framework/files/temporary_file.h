#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "files/descriptor.h"

namespace backplane {

/// A new file beside the one whose place it is to take, under a name that nobody can foresee (`<target>.tmp-<16 hex
/// digits>`): nothing that was laid there, a link say, is ever opened. Open for reading and writing; removed at the end
/// of this object, or of the process, unless it took that place. All throw UserError (io), naming the target, since
/// that is the file which the user knows, and the call that failed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }
  int descriptor() const { return file_.number(); }
  /// A name by which a library opens exactly this file; see name_of_descriptor.
  std::string name_for_libraries() const;

  void write(const void* data, std::size_t bytes);
  /// A failed fsync is never repeated, not even an interrupted one: Linux may have dropped the pages, and a second
  /// call would lie.
  void sync();
  /// Throws unless the disk gives back what it was given.
  void require_same(const void* data, std::size_t bytes);
  void close();
  /// What has that name is replaced; a link there is, too, and not followed.
  void rename_to(const std::string& target);
  /// Likewise where nothing has that name; false, and nothing is changed, where something has.
  bool take_free_name(const std::string& target);

 private:
  [[noreturn]] void fail(const char* call) const;

  std::string target_, path_;
  Descriptor file_;
};

/// Removes the temporary files of those files that `is_ours` names: what processes left when they died.
/// REQUIRES: nobody else writes such files there, as the lock of a run makes sure; nor does this process, just then.
void remove_dead_temporary_files(const std::string& directory, const std::function<bool(const std::string&)>& is_ours);

}  // namespace backplane
