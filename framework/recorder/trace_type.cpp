#include "recorder/trace_type.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/lane_sum.h"
#include "tensor/half.h"
#include "base/multiversion.h"

namespace backplane {

namespace {

template <class From, class To>
BP_MULTIVERSION void convert_each(const From* from, To* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<To>(from[i]);
}

/// Finite elements from `limit` on.
template <class From>
BP_MULTIVERSION std::int64_t count_beyond(const From* from, std::int64_t count, From limit) {
  return kernels::lane_sum<std::int64_t>(count, [&](std::int64_t i) {
    const From size = std::abs(from[i]);
    return size >= limit && size <= std::numeric_limits<From>::max() ? 1 : 0;
  });
}

template <class From>
std::int64_t convert_from(const From* from, void* target, TraceType to, std::int64_t count) {
  // Half a unit in the last place beyond the largest finite number is where rounding to nearest gives infinity.
  if (to == TraceType::float16) {
    convert_each(from, static_cast<Half*>(target), count);
    return count_beyond<From>(from, count, From(65520));
  }
  if (to == TraceType::float32) {
    convert_each(from, static_cast<float*>(target), count);
    return sizeof(From) == sizeof(float) ? 0 : count_beyond<From>(from, count, static_cast<From>(0x1.ffffffp127));
  }
  throw InternalError("a trace rounds to float16 and float32 only");
}

}  // namespace

h5::Handle file_type(TraceType element) {
  using h5::check;
  const auto copy = [](hid_t type) { return h5::Handle(H5Tcopy(type), H5Tclose, "copy a type"); };
  switch (element) {
    case TraceType::float32: return copy(H5T_IEEE_F32LE);
    case TraceType::float64: return copy(H5T_IEEE_F64LE);
    case TraceType::int64: return copy(H5T_STD_I64LE);
    case TraceType::float16: break;
  }
  // binary16 has no name in HDF5: sign at bit 15, 5 bits of exponent at 10, 10 of mantissa at 0.
  h5::Handle half = copy(H5T_IEEE_F32LE);
  check(H5Tset_fields(half.id(), 15, 10, 5, 0, 10), "describe float16");
  check(H5Tset_size(half.id(), 2), "describe float16");
  check(H5Tset_ebias(half.id(), 15), "describe float16");
  return half;
}

std::int64_t convert(const void* source, DType from, void* target, TraceType to, std::int64_t count) {
  if (trace_type_of(from) == to) {
    std::memcpy(target, source, static_cast<std::size_t>(count) * size_of(to));
    return 0;
  }
  return dispatch(from, [&]<class T>(T) { return convert_from(static_cast<const T*>(source), target, to, count); });
}

}  // namespace backplane
