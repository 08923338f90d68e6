// A plug-in without a name cannot be named in a checkpoint.
#include "valid.h"

BP_SPOILED("test.no_id", tables.plugin.id = nullptr)
