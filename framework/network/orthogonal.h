#pragma once

#include <vector>

#include "random/philox.h"
#include "tensor/shape.h"

namespace backplane {

/// gain · Q of the QR decomposition of a matrix of standard normals, signs fixed by R's diagonal so that Q is
/// uniformly distributed (Mezzadri 2007). The first axis of `shape` are rows, the rest columns: orthonormal rows where
/// rows ≤ columns, orthonormal columns otherwise. By LAPACK (Householder).
std::vector<double> orthogonal(const Shape& shape, double gain, const Stream& stream);

}  // namespace backplane
