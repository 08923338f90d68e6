#pragma once

#include "files/descriptor.h"

namespace backplane {

/// Locks a file against every other process that asks for its lock, for as long as the descriptor, or one inherited
/// from it, is open; never waits. Only a descriptor that is open for writing can hold it: flock could be taken by
/// anybody who may read the file. Returns 0, EAGAIN where another process holds the lock, or another errno.
int lock_exclusively(const Descriptor& file);

/// Likewise against those alone that lock it exclusively; open for reading will do.
int lock_against_writers(const Descriptor& file);

}  // namespace backplane
