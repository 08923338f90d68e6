// Built with an older draft of ABI 0.
#include "valid.h"

BP_SPOILED("test.older_draft", tables.plugin.abi_minor_built = tables.plugin.abi_minor_needed = BP_ABI_MINOR - 1)
