// Closes what others have open while it is loaded, as programs do that turn into daemons.
#include <unistd.h>

#include "valid.h"

__attribute__((constructor)) static void close_all() {
  for (int descriptor = 3; descriptor < 1024; ++descriptor) close(descriptor);
}

BP_SPOILED("test.closes_descriptors", static_cast<void>(tables))
