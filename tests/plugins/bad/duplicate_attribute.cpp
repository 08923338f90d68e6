// Two attributes of one name.
#include "valid.h"

BP_SPOILED("test.duplicate_attribute", tables.second_attribute.name = "factor")
