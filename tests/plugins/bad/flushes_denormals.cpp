// Linked with fast-math, a library switches denormals off for the thread that loads it. Nothing else is wrong with it.
#include <xmmintrin.h>

#include "valid.h"

__attribute__((constructor)) static void flush_denormals() { _mm_setcsr(_mm_getcsr() | 0x8040); }

BP_SPOILED("test.flushes_denormals", static_cast<void>(tables))
