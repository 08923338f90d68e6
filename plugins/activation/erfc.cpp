#include "activation/erfc.h"

#include <cmath>

#include "base/multiversion.h"

// glibc declares its vector functions only under -ffast-math, which nothing here is compiled with.
#if defined(__x86_64__) && !defined(__clang__)
extern "C" {
__attribute__((__simd__("notinbranch"), __const__)) float erfcf(float) noexcept;
__attribute__((__simd__("notinbranch"), __const__)) double erfc(double) noexcept;
}
#endif

namespace activation {

namespace {

inline float complement(float x) {
  return ::erfcf(x);
}
inline double complement(double x) {
  return ::erfc(x);
}

}  // namespace

template <class T>
BP_MULTIVERSION void erfc_of_vector(T* values, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) values[i] = complement(values[i]);
}

template void erfc_of_vector(float*, std::int64_t);
template void erfc_of_vector(double*, std::int64_t);

}  // namespace activation
