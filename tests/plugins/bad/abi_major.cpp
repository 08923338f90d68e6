// The entry's name says ABI 0, its table another one.
#include "valid.h"

BP_SPOILED("test.abi_major", tables.plugin.abi_major = 3)
