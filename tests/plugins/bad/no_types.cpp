// Neither layers nor activations: BP_PLUGIN was given empty lists.
#include "valid.h"

BP_SPOILED("test.no_types", tables.plugin.layer_count = 0)
