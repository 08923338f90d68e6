#include "recorder/trace_type.h"

#include <cstring>

#include "kernels/multiversion.h"

namespace backplane {

namespace {

template <class From, class To>
BP_MULTIVERSION void convert_each(const From* from, To* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<To>(from[i]);
}

template <class From>
void convert_from(const From* from, void* target, TraceType to, std::int64_t count) {
  if (to == TraceType::float16)
    convert_each(from, static_cast<_Float16*>(target), count);
  else if (to == TraceType::float32)
    convert_each(from, static_cast<float*>(target), count);
  else
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

void convert(const void* source, DType from, void* target, TraceType to, std::int64_t count) {
  if (trace_type_of(from) == to)
    std::memcpy(target, source, static_cast<std::size_t>(count) * size_of(to));
  else if (from == DType::float32)
    convert_from(static_cast<const float*>(source), target, to, count);
  else
    convert_from(static_cast<const double*>(source), target, to, count);
}

}  // namespace backplane
