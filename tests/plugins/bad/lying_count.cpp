// More layer types than the list has.
#include "valid.h"

BP_SPOILED("test.lying_count", tables.plugin.layer_count = 1000000)
