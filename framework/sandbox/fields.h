#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sandbox/byte_stream.h"

namespace backplane {

// Structs between processes. A struct names its fields once, for both directions, beside its own declaration or where
// it is sent, in the struct's namespace:
//
//     template <class Way>
//     void fields(Way& way, Selection& selection) {
//       way(selection.layer, selection.tensor, selection.sample);
//     }
//
// Fields are numbers, truth values, enums, texts, other such structs, and vectors, optionals and maps of them.

template <class T>
concept SentAsItIs = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// Towards the other process. Changes nothing of what it is given.
class FieldWriter {
 public:
  static constexpr bool kReads = false;
  explicit FieldWriter(ByteWriter& bytes) : bytes_(bytes) {}

  template <class... T>
  void operator()(const T&... values) {
    (write(values), ...);
  }
  /// Memory whose size both sides know.
  void raw(const void* from, std::size_t size) { bytes_.bytes(from, size); }

 private:
  template <SentAsItIs T>
  void write(const T& value) {
    bytes_.number(value);
  }
  void write(const std::string& value) { bytes_.text(value); }
  template <class T>
  void write(const std::vector<T>& values) {
    bytes_.number(std::ssize(values));
    if constexpr (SentAsItIs<T>)
      bytes_.bytes(values.data(), values.size() * sizeof(T));
    else
      for (const T& value : values) write(value);
  }
  template <class T>
  void write(const std::optional<T>& value) {
    bytes_.number(value.has_value());
    if (value) write(*value);
  }
  template <class T>
  void write(const std::map<std::string, T>& values) {
    bytes_.number(std::ssize(values));
    for (const auto& [name, value] : values) write(name), write(value);
  }
  template <class T>
  void write(const T& value) {
    fields(*this, const_cast<T&>(value));  // it names them for both directions
  }

  ByteWriter& bytes_;
};

/// From the other process. Containers grow with what comes, not with what was announced, unless there is room for it.
class FieldReader {
 public:
  static constexpr bool kReads = true;
  explicit FieldReader(ByteReader& bytes) : bytes_(bytes) {}

  template <class... T>
  void operator()(T&... values) {
    (read(values), ...);
  }
  void raw(void* to, std::size_t size) { bytes_.bytes(to, size); }
  void require_room(std::uint64_t size) { bytes_.require_room(size); }

 private:
  template <SentAsItIs T>
  void read(T& value) {
    value = bytes_.number<T>();
  }
  void read(bool& value) { value = bytes_.number<unsigned char>() != 0; }
  void read(std::string& value) { value = bytes_.text(); }
  template <class T>
  void read(std::vector<T>& values) {
    auto left = bytes_.number<std::ptrdiff_t>();
    if constexpr (SentAsItIs<T>) {
      constexpr auto kMost = std::numeric_limits<std::ptrdiff_t>::max() / static_cast<std::ptrdiff_t>(sizeof(T));
      const auto count = static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(left, 0, kMost));
      bytes_.require_room(count * sizeof(T));
      values.resize(count);
      bytes_.bytes(values.data(), count * sizeof(T));
    } else {
      for (; left > 0; --left) {
        T value{};
        read(value);
        values.push_back(std::move(value));
      }
    }
  }
  template <class T>
  void read(std::optional<T>& value) {
    bool is_there = false;
    read(is_there);
    if (is_there) read(value.emplace());
  }
  template <class T>
  void read(std::map<std::string, T>& values) {
    for (auto left = bytes_.number<std::ptrdiff_t>(); left > 0; --left) {
      const std::string name = bytes_.text();
      read(values[name]);
    }
  }
  template <class T>
  void read(T& value) {
    fields(*this, value);
  }

  ByteReader& bytes_;
};

template <class... T>
void write_fields(ByteWriter& bytes, const T&... values) {
  FieldWriter way(bytes);
  way(values...);
}

template <class T>
T read_fields(ByteReader& bytes) {
  T value{};
  FieldReader way(bytes);
  way(value);
  return value;
}

}  // namespace backplane
