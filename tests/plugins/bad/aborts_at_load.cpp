// Crashes while it is loaded.
#include <cstdlib>

#include "valid.h"

__attribute__((constructor)) static void end() {
  std::abort();
}

BP_SPOILED("test.aborts_at_load", static_cast<void>(tables))
