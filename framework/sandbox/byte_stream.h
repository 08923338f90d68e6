#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace backplane {

/// What is written here is read by a ByteReader in another process, in the same order with the same types. Both run
/// the same program: nothing is converted.
class ByteWriter {
 public:
  virtual ~ByteWriter() = default;
  void bytes(const void* from, std::size_t size);
  template <class T>
  void number(T value) {
    bytes(&value, sizeof value);
  }
  void text(std::string_view value);
  /// Sends what waits. What was written is sent in pieces of 64 KiB, or when asked.
  void flush();

 private:
  virtual void send(const void* from, std::size_t size) = 0;

  std::vector<char> waiting_;
};

/// The other end. What comes from a child may be anything: who reads it looks at it before it is used.
class ByteReader {
 public:
  virtual ~ByteReader() = default;
  /// Waits for them.
  virtual void bytes(void* to, std::size_t size) = 0;
  /// Throws unless `size` more bytes may still come: asked before memory for them is taken.
  virtual void require_room(std::uint64_t size) = 0;
  template <class T>
  T number() {
    T value{};
    bytes(&value, sizeof value);
    return value;
  }
  std::string text();
};

}  // namespace backplane
