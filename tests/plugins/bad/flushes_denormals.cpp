// Linked with fast-math, a library switches denormals off for the thread that loads it; this one also leaves another
// rounding behind. Nothing else is wrong with it.
#include <cfenv>

#include "valid.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
static void flush_denormals() {
  _mm_setcsr(_mm_getcsr() | 0x8040);
}
#else
static void flush_denormals() {}
#endif

__attribute__((constructor)) static void change_mode() {
  flush_denormals();
  std::fesetround(FE_UPWARD);
}

BP_SPOILED("test.flushes_denormals", static_cast<void>(tables))
