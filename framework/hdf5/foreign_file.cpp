#include "hdf5/foreign_file.h"

#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/printable.h"
#include "base/system_error.h"
#include "files/open_file.h"
#include "hdf5/superblock.h"

namespace backplane::h5 {

namespace {

[[noreturn]] void fail(const std::string& path, ExitCode code, std::string what, std::string hint = {}) {
  throw UserError(code, Diagnostic{.place = {.source = path}, .what = std::move(what), .hint = std::move(hint)});
}

bool wants_locks() {
  const char* wanted = std::getenv("HDF5_USE_FILE_LOCKING");
  return wanted == nullptr || (std::strcmp(wanted, "FALSE") != 0 && std::strcmp(wanted, "0") != 0);
}

void check_superblock(const std::string& path, std::uint64_t bytes) {
  std::ifstream file(path, std::ios::binary);
  const std::optional<Superblock> superblock = read_superblock(file);
  if (!superblock) fail(path, ExitCode::bad_data, "this is not an HDF5 file: its signature is missing");
  if (superblock->is_marked_open)
    fail(path, ExitCode::bad_data, "the program that wrote this file has not closed it",
         fmt::format("close it there; if that program died, `h5clear -s {}` takes its mark away", shell_word(path)));
  if (superblock->end != ~std::uint64_t{0} && bytes < superblock->end)
    fail(path, ExitCode::bad_data, fmt::format("the file has {} of its {} bytes", bytes, superblock->end),
         "it was cut off on the way, or the program that wrote it ended before it closed it");
}

}  // namespace

ReadLock::ReadLock(const std::string& path) {
  OpenedFile opened = open_regular(path);
  if (!opened && opened.error == 0) fail(path, ExitCode::no_input, opened.why);
  if (!opened)
    fail(path, code_of_reading(opened.error), "the file cannot be opened: " + reason_of(opened.error),
         remedy_of(opened.error));
  fd_ = opened.file.release();
  if (!wants_locks() || flock(fd_, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(fd_);
  fail(path, ExitCode::io, "another program has this file open for writing",
       "close it there (in h5py: file.close()), or wait until it has ended");
}

ReadLock::~ReadLock() {
  ::close(fd_);
}

Handle without_locks() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make file access properties");
  check(H5Pset_file_locking(access.id(), false, true), "leave the lock to this program");
  return access;
}

void fail_to_open(const std::string& path) {
  const std::string reason = innermost_reason();
  if (const int error = errno_in(reason); error != 0)
    fail(path, code_of_reading(error), "the file cannot be opened: " + reason_of(error), remedy_of(error));
  fail(path, ExitCode::bad_data, "the HDF5 library cannot open this file: it is damaged, or too new for the library",
       fmt::format("HDF5 {}.{}.{} says: {}; a newer one writes for it with h5py.File(NAME, 'w', libver='v110')",
                   H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE, reason));
}

ForeignFile::ForeignFile(const std::string& path) : lock_(path) {
  struct stat status {};
  if (fstat(lock_.fd(), &status) != 0) throw cannot_read(path, errno);
  check_superblock(path, static_cast<std::uint64_t>(status.st_size));
}

Handle open_foreign(const std::string& path) {
  make_quiet_and_safe();
  const Handle access = without_locks();  // lives on until the library's reason has been read
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id());
  if (file < 0) fail_to_open(path);
  return Handle(file, H5Fclose, "open the file");
}

}  // namespace backplane::h5
