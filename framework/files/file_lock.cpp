#include "files/file_lock.h"

#include <fcntl.h>

#include <cerrno>

namespace backplane {

namespace {

int lock(const Descriptor& file, short type) {
  struct flock whole {};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  if (::fcntl(file.number(), F_OFD_SETLK, &whole) == 0) return 0;
  return errno == EACCES ? EAGAIN : errno;
}

}  // namespace

int lock_exclusively(const Descriptor& file) {
  return lock(file, F_WRLCK);
}

int lock_against_writers(const Descriptor& file) {
  return lock(file, F_RDLCK);
}

}  // namespace backplane
