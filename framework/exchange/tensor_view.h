#pragma once

#include <string>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace backplane {

/// A tensor to be written: row-major, little-endian as the machine is. `data` belongs to the caller.
struct TensorView {
  std::string name;
  Shape shape;
  DType dtype = DType::float32;
  const void* data = nullptr;
};

}  // namespace backplane
