#pragma once

#include <vector>

#include "random/philox.h"
#include "tensor/shape.h"

namespace backplane {

/// gain · Q, where Q are standard normal vectors made orthonormal one after the other, which makes Q uniformly
/// distributed (Mezzadri 2007). The first axis of `shape` are rows, the rest columns: orthonormal rows where
/// rows ≤ columns, orthonormal columns otherwise. Modified Gram-Schmidt, each vector twice: after the second pass it is
/// orthogonal to rounding (Giraud, Langou, Rozložník 2005).
std::vector<double> orthogonal(const Shape& shape, double gain, const Stream& stream);

}  // namespace backplane
