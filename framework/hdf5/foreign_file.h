#pragma once

#include <string>

#include "hdf5/handle.h"

namespace backplane::h5 {

/// The lock with which HDF5 tells writers that a file is being read. Like HDF5's it is left out where
/// HDF5_USE_FILE_LOCKING is FALSE; unlike HDF5's, also on a file system without locks.
class ReadLock {
 public:
  /// Throws UserError: no_input where the file cannot be opened, io where another program has it open for writing.
  explicit ReadLock(const std::string& path);
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;
  ~ReadLock();
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

/// File access properties that leave the lock to a ReadLock.
Handle without_locks();

/// Throws UserError (bad_data) with HDF5's reason, where it has just refused to open a file.
[[noreturn]] void fail_to_open(const std::string& path);

/// An HDF5 file that another program made, looked at and locked against writers before the library meets it.
class ForeignFile {
 public:
  /// Throws UserError: as ReadLock does, whose lock is held until this object goes; bad_data where it is no HDF5 file,
  /// was cut off, or was never closed by the program that wrote it.
  explicit ForeignFile(const std::string& path);

 private:
  ReadLock lock_;
};

/// Opens one for reading, in a child (sandbox/run_in_child.h) whose parent has it as a ForeignFile. Throws UserError
/// (bad_data) with the library's reason.
Handle open_foreign(const std::string& path);

}  // namespace backplane::h5
