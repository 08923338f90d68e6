#pragma once

namespace backplane {

/// IEEE 754 binary16. Other numbers are rounded to nearest, ties to even, when they are cast to it.
#if defined(__clang__) && __clang_major__ < 15
using Half = __fp16;
#else
using Half = _Float16;
#endif

}  // namespace backplane
