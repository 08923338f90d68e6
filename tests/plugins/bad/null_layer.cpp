// A hole in the list of layers.
#include "valid.h"

BP_SPOILED("test.null_layer", tables.layers[0] = nullptr)
