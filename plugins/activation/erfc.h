#pragma once

#include <cstdint>

namespace activation {

/// values[i] = erfc(values[i]) for one vector of the CPU at hand, `count` elements: glibc's libmvec, within 4 units in
/// the last place, where the CPU is an x86-64. A function of the element alone as long as `count` is always the same.
template <class T>
void erfc_of_vector(T* values, std::int64_t count);

}  // namespace activation
