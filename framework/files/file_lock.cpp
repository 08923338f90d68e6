#include "files/file_lock.h"

#include <fcntl.h>

#include <cerrno>

namespace backplane {

int lock_exclusively(const Descriptor& file) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(file.number(), F_OFD_SETLK, &whole) == 0) return 0;
  return errno == EACCES ? EAGAIN : errno;
}

}  // namespace backplane
