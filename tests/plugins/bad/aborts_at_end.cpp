// Is refused, and leaves a handler for the end of the program that crashes.
#include <cstdlib>

#include "valid.h"

__attribute__((constructor)) static void leave_handler() {
  std::atexit(std::abort);
}

BP_SPOILED("test.aborts_at_end", tables.plugin.layer_count = 0)
