// Is refused, and leaves a handler for the end of the program that crashes.
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "valid.h"

__attribute__((constructor)) static void leave_handler() {
  if (std::strcmp(program_invocation_short_name, "backplane") == 0) std::atexit(std::abort);  // not in unit tests
}

BP_SPOILED("test.aborts_at_end", tables.plugin.layer_count = 0)
