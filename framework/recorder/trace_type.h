#pragma once

#include <cstddef>
#include <cstdint>

#include "hdf5/handle.h"
#include "tensor/dtype.h"

namespace backplane {

/// What a data set of the trace holds, little-endian. float16 is IEEE 754 binary16.
enum class TraceType { float16, float32, float64, int64 };

constexpr std::size_t size_of(TraceType element) {
  switch (element) {
    case TraceType::float16: return 2;
    case TraceType::float32: return 4;
    default: return 8;
  }
}

constexpr TraceType trace_type_of(DType dtype) {
  return dtype == DType::float32 ? TraceType::float32 : TraceType::float64;
}

/// HDF5's type for it.
h5::Handle file_type(TraceType element);

/// Copies elements of `from` as elements of `to`, which is as wide or narrower: rounded to nearest, what is too large
/// for the narrower type becomes infinite. Returns how many finite elements did.
std::int64_t convert(const void* source, DType from, void* target, TraceType to, std::int64_t count);

}  // namespace backplane
