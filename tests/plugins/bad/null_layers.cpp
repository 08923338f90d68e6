// It counts one layer and has no list of them.
#include "valid.h"

BP_SPOILED("test.null_layers", tables.plugin.layers = nullptr)
