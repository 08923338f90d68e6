#pragma once

#include <cstddef>
#include <cstdint>

#include "files/hdf5.h"
#include "tensor/dtype.h"

namespace backplane {

/// What a data set of the trace holds, little-endian. float16 is IEEE 754 binary16.
enum class Element { float16, float32, float64, int64 };

constexpr std::size_t size_of(Element element) {
  switch (element) {
    case Element::float16: return 2;
    case Element::float32: return 4;
    default: return 8;
  }
}

constexpr Element element_of(DType dtype) {
  return dtype == DType::float32 ? Element::float32 : Element::float64;
}

/// HDF5's type for it.
h5::Handle file_type(Element element);

/// Copies elements of `from` as elements of `to`, which is as wide or narrower: rounded to nearest, too large for
/// float16 becomes infinite.
void convert(const void* source, DType from, void* target, Element to, std::int64_t count);

}  // namespace backplane
