// A kind of attribute that does not exist.
#include "valid.h"

BP_SPOILED("test.attribute_kind", tables.attribute.kind = 99)
