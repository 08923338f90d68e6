#include "tensor/buffer.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>

#include "base/sanitizers.h"

namespace backplane {

namespace {

/// Large buffers are mapped: in huge pages, since the rows of large tensors lie on more small ones than the CPU knows
/// at a time; and on the memory of the processor that writes a page first, which is that of the worker who uses it.
/// (The address sanitizer would not see beyond their ends.)
constexpr std::size_t kMapped = BP_ADDRESS_SANITIZER ? SIZE_MAX : std::size_t{2} << 20;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t whole_pages(std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  return (bytes + kPage - 1) / kPage * kPage;
}

void* map(std::size_t bytes) {
  if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
  const std::size_t reserved = whole_pages(bytes) + kHugePage;
  void* const begin = ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  char* const data = static_cast<char*>(begin) + before;
  const std::size_t used = whole_pages(bytes);
  if (before > 0) ::munmap(begin, before);
  ::munmap(data + used, reserved - before - used);
  ::madvise(data, bytes, MADV_HUGEPAGE);  // one that is refused costs time, and nothing else
  return data;
}

void unmap(void* data, std::size_t bytes) {
  ::munmap(data, whole_pages(bytes));
}

}  // namespace

Buffer::Buffer(std::size_t bytes) {
  *this = unset(bytes);
  if (bytes > 0 && bytes < kMapped) std::memset(data_, 0, bytes);
}

Buffer Buffer::copy_of(const void* data, std::size_t bytes) {
  Buffer buffer = unset(bytes);
  if (bytes > 0) std::memcpy(buffer.data_, data, bytes);
  return buffer;
}

Buffer Buffer::unset(std::size_t bytes) {
  Buffer buffer;
  if (bytes == 0) return buffer;
  // Sanitizers end a program that lets `new` throw.
  buffer.data_ = bytes >= kMapped ? map(bytes) : ::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (buffer.data_ == nullptr) throw std::bad_alloc();
  buffer.bytes_ = bytes;
  return buffer;
}

Buffer::~Buffer() {
  if (bytes_ >= kMapped)
    unmap(data_, bytes_);
  else
    ::operator delete (data_, std::align_val_t{kAlignment});
}

void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that glibc takes
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

}  // namespace backplane
