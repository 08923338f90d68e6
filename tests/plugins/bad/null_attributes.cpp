// It counts two attributes and has no list of them.
#include "valid.h"

BP_SPOILED("test.null_attributes", tables.layer.attributes = nullptr)
