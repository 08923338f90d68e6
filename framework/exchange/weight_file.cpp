#include "exchange/weight_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#include "base/system_error.h"
#include "checkpoint/reader.h"
#include "exchange/export.h"
#include "exchange/npz.h"
#include "exchange/safetensors.h"
#include "files/open_file.h"

namespace backplane {

static_assert(std::endian::native == std::endian::little, "files of weights are little-endian");

namespace {

Descriptor open(const std::string& path) {
  OpenedFile opened = open_regular(path);
  if (!opened)
    throw UserError(opened.code(),
                    fmt::format("{}: {}", path, opened.is_missing ? "no such file of weights" : opened.why),
                    opened.code() == ExitCode::io ? remedy_of(opened.error)
                                                  : "name a .safetensors file, a .npz file or a checkpoint");
  return std::move(opened.file);
}

std::vector<WeightEntry> entries_of_checkpoint(const std::string& path) {
  const auto snapshot = std::make_shared<const Snapshot>(read_checkpoint(path));
  std::vector<WeightEntry> entries;
  for (const TensorView& view : weights_of(*snapshot)) {
    WeightEntry& entry = entries.emplace_back();
    entry.name = view.name;
    entry.shape = view.shape;
    entry.element = view.dtype == DType::float32 ? Element::float32 : Element::float64;
    entry.stored_type = name_of(view.dtype);
    const auto* begin = static_cast<const char*>(view.data);
    const std::size_t bytes = static_cast<std::size_t>(element_count(view.shape)) * size_of(view.dtype);
    entry.load = [snapshot, begin, bytes] { return std::vector<char>(begin, begin + bytes); };
  }
  return entries;
}

/// IEEE 754 binary16.
float from_float16(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
  const float sign = bits >> 15 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

double element_at(const std::vector<char>& raw, Element element, std::size_t i) {
  const auto get = [&]<class T>(T value) {
    std::memcpy(&value, raw.data() + i * sizeof value, sizeof value);
    return value;
  };
  switch (element) {
    case Element::float16: return from_float16(get(std::uint16_t{}));
    case Element::bfloat16: return from_bfloat16(get(std::uint16_t{}));
    case Element::float32: return get(float{});
    case Element::float64: return get(double{});
    case Element::other: break;
  }
  throw InternalError("a tensor of an unknown type was to be read");
}

/// Where element i of the row-major order stands among column-major ones.
std::size_t column_major(std::size_t i, const Shape& shape) {
  std::size_t place = 0, factor = static_cast<std::size_t>(element_count(shape));
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto extent = static_cast<std::size_t>(shape[axis]);
    factor /= extent;
    place += i % extent * factor;
    i /= extent;
  }
  return place;
}

}  // namespace

std::size_t size_of(Element element) {
  switch (element) {
    case Element::float16:
    case Element::bfloat16: return 2;
    case Element::float32: return 4;
    case Element::float64: return 8;
    case Element::other: break;
  }
  return 0;
}

std::size_t checked_count(const Shape& shape, std::size_t element_bytes) {
  constexpr std::size_t kMostAxes = 32;
  if (shape.size() > kMostAxes) throw std::runtime_error(fmt::format("a shape of {} axes", shape.size()));
  std::size_t bytes = element_bytes;
  for (const std::int64_t extent : shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes))
      throw std::runtime_error(fmt::format("a tensor of shape {} is too large to be", to_string(shape)));
  return bytes / element_bytes;
}

WeightFile open_weight_file(const std::string& path) {
  const Descriptor opened = open(path);
  constexpr std::size_t kHead = 16;
  const std::string head = read_all(opened, path, kHead);
  const auto read_rest = [&] {
    return std::make_shared<const std::string>(head + read_all(opened, path, size_of(opened) - head.size()));
  };
  WeightFile file{.path = path, .entries = {}};
  try {
    // A safetensors file may begin with any eight bytes, but its header begins with a brace; the others have none
    // there.
    if (head.size() > 8 && head[8] == '{')
      file.entries = parse_safetensors(read_rest());
    else if (head.starts_with("\x89HDF\r\n\x1a\n"))
      file.entries = entries_of_checkpoint(path);
    else if (head.starts_with("PK\3\4") || head.starts_with("PK\5\6"))
      file.entries = parse_npz(read_rest());
    else
      throw std::runtime_error("it begins as no safetensors file, npz file or checkpoint does");
  } catch (const std::runtime_error& error) {
    if (dynamic_cast<const UserError*>(&error) != nullptr) throw;
    throw UserError(ExitCode::bad_data, fmt::format("{}: {}", path, error.what()),
                    "a file of weights is written by `backplane export`, safetensors' save_file or numpy.savez");
  }
  return file;
}

void read_values(const WeightFile& file, const WeightEntry& entry, DType dtype, void* values) {
  const auto refuse = [&](const std::string& what) {
    throw UserError(ExitCode::bad_data, fmt::format("{}: {}", file.path, what));
  };
  std::vector<char> raw;
  try {
    raw = entry.load();
  } catch (const std::runtime_error& error) {
    refuse(fmt::format("'{}': {}", entry.name, error.what()));
  }
  dispatch(dtype, [&]<class T>(T) {
    for (std::size_t i = 0; i < raw.size() / size_of(entry.element); ++i) {
      const std::size_t from = entry.is_column_major ? column_major(i, entry.shape) : i;
      const T value = static_cast<T>(element_at(raw, entry.element, from));
      if (!std::isfinite(value))
        refuse(fmt::format("'{}': element {} is NaN, infinite, or beyond {}", entry.name, i, name_of(dtype)));
      static_cast<T*>(values)[i] = value;
    }
  });
}

}  // namespace backplane
