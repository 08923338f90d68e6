// It needs functions that only a later host has.
#include "valid.h"

BP_SPOILED("test.newer_minor", tables.plugin.abi_minor_built = tables.plugin.abi_minor_needed = 99)
