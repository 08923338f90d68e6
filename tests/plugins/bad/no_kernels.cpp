// Kernels for no element type.
#include "valid.h"

BP_SPOILED("test.no_kernels", tables.layer.f32 = nullptr)
