// Built for a plug-in ABI of the future: nothing of its table can be understood.
#include "valid.h"

BP_EXPORTED const void* bp_plugin_v7(void) {
  return nullptr;
}
