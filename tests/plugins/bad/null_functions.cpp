// Functions that were never filled in: all of them are reported.
#include "valid.h"

BP_SPOILED("test.null_functions", tables.layer.create = nullptr; tables.layer.destroy = nullptr;
           tables.layer.plan = nullptr; tables.kernels.forward = nullptr)
