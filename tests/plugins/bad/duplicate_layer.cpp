// Two layer types of one name in one plug-in.
#include "valid.h"

BP_SPOILED("test.duplicate_layer", tables.plugin.layer_count = 2)
