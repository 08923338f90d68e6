#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace backplane {

/// Element type of a tensor that takes part in training.
enum class DType : std::uint32_t { float32 = 1, float64 = 2 };

constexpr std::size_t size_of(DType dtype) {
  return dtype == DType::float32 ? 4 : 8;
}
constexpr std::string_view name_of(DType dtype) {
  return dtype == DType::float32 ? "float32" : "float64";
}

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::float32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::float64;
}

/// Calls f(T{}) with T = float or double: the one place where a run-time dtype becomes a type.
template <class F>
decltype(auto) dispatch(DType dtype, F&& f) {
  return dtype == DType::float32 ? f(float{}) : f(double{});
}

}  // namespace backplane
