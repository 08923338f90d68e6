// Every layer has a key of this name already.
#include "valid.h"

BP_SPOILED("test.attribute_called_name", tables.attribute.name = "name")
