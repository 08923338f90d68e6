#pragma once

#include <cmath>
#include <cstdint>

#include "base/multiversion.h"

namespace backplane::rules {

/// s = kept·s + added·g², θ −= η g / (√s + ε): of AdaGrad and RMSProp.
template <class T, class Gradient>
BP_MULTIVERSION void scaled_step(T* __restrict w, Gradient g, T* __restrict s, T rate, T kept, T added, T epsilon,
                                 std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T gradient = g(i, w[i]);
    s[i] = kept * s[i] + added * gradient * gradient;
    w[i] -= rate * gradient / (std::sqrt(s[i]) + epsilon);
  }
}

}  // namespace backplane::rules
