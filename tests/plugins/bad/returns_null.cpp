// The entry has nothing to give.
#include "valid.h"

BP_EXPORTED const bp_plugin* bp_plugin_v0(void) {
  return nullptr;
}
