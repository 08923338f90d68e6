// A default that the attribute's own range forbids.
#include "valid.h"

BP_SPOILED("test.default_out_of_range", tables.attribute.max = 0.5)
