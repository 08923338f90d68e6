// A layer without inputs has nothing to transform.
#include "valid.h"

BP_SPOILED("test.no_inputs", tables.layer.inputs_min = 0)
