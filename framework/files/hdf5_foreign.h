#pragma once

#include <string>

#include "files/hdf5.h"

namespace backplane::h5 {

/// Says why HDF5 has just refused to open a file: UserError, io where another program has it open for writing,
/// otherwise bad_data with the library's reason.
[[noreturn]] void fail_to_open(const std::string& path);

/// An HDF5 file that another program made, looked at and locked against writers before the library meets it.
class ForeignFile {
 public:
  /// Throws UserError: no_input where the file cannot be opened; io where another program has it open for writing;
  /// bad_data where it is no HDF5 file, was cut off, or was never closed by the program that wrote it.
  ///
  /// The lock is the one that HDF5 takes, and like it left out where HDF5_USE_FILE_LOCKING is FALSE; also on a file
  /// system without locks. It is held until the object goes, in children too.
  explicit ForeignFile(std::string path);
  ForeignFile(const ForeignFile&) = delete;
  ForeignFile& operator=(const ForeignFile&) = delete;
  ~ForeignFile();

  /// For reading, to be called in a child (isolation.h). Throws UserError (bad_data) with the library's reason.
  Handle open() const;

 private:
  std::string path_;
  int fd_;
};

}  // namespace backplane::h5
