#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace backplane {

/// Owned memory, aligned for the widest vector unit; zero-filled unless it is a copy. Movable, not copyable. Throws
/// std::bad_alloc.
class Buffer {
 public:
  static constexpr std::size_t kAlignment = 64;

  Buffer() = default;
  explicit Buffer(std::size_t bytes);
  static Buffer copy_of(const void* data, std::size_t bytes);
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Buffer();

  std::size_t bytes() const { return bytes_; }
  void* data() { return data_; }
  const void* data() const { return data_; }

  template <class T>
  T* as() {
    return static_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data_);
  }

 private:
  static Buffer unset(std::size_t bytes);

  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Keeps what is freed for the next allocation, instead of giving it back to the system, which would clear it page by
/// page when a checkpoint needs it again. Called once, by a program's `main`, before there are threads.
void keep_freed_memory();

}  // namespace backplane
