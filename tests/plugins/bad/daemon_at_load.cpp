// Goes on in a process of its own while it is loaded; the one that loads it ends as if all were well.
#include <unistd.h>

#include "valid.h"

__attribute__((constructor)) static void leave() {
  [[maybe_unused]] const int ignored = daemon(1, 1);
}

BP_SPOILED("test.daemon_at_load", static_cast<void>(tables))
