// An id that cannot be printed or stored.
#include "valid.h"

BP_SPOILED("test.caf\xe9", static_cast<void>(tables))
