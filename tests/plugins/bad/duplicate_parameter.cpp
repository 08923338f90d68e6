// Two parameters of one name would share a place in the checkpoint.
#include "valid.h"

BP_SPOILED("test.duplicate_parameter", tables.second_parameter.name = "s")
