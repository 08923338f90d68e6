// A layer type that takes a built-in name.
#include "valid.h"

BP_SPOILED("test.clash_dense", tables.layer.name = "dense")
