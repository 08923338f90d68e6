#pragma once

// HDF5 1.12 changed what objects and links say of themselves.
// Newer libraries speak 1.10's language when asked to.
#define H5_USE_110_API 1
#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace backplane::h5 {

/// Owns one HDF5 identifier of any kind. Movable. All HDF5 calls of a run are made by one thread at a time.
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  Handle() = default;
  /// Takes ownership. Throws LibraryError naming `what` where `id` is negative (the HDF5 call failed).
  Handle(hid_t id, Closer closer, const char* what);
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), closer_(other.closer_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(closer_, other.closer_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) closer_(id_);
  }
  hid_t id() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Closer closer_ = nullptr;
};

/// What the library was asked for and did not do: a fault of the file that it reads, or else of this program.
struct LibraryError : InternalError {
  LibraryError(std::string attempt, std::string reason);
  std::string attempt;  ///< "open a group"
  std::string reason;   ///< HDF5's innermost one
};

/// Where `status` is negative, throws std::bad_alloc if the library found no memory, else LibraryError naming `what`,
/// with HDF5's own reason.
void check(herr_t status, const char* what);

/// Where HDF5's last failure began: "inflate() failed". Any further call of the library forgets it.
std::string innermost_reason();

/// The errno in what the library says of a call of the system that failed; 0 where it speaks of none.
int errno_in(const std::string& reason);

/// Turns off HDF5's habit of printing error stacks and of loading filter libraries that a file names.
/// Called by whatever opens or makes a file; cheap to repeat.
void make_quiet_and_safe();

/// What every file says of its shapes, for readers in other languages.
inline constexpr const char* kDimOrder =
    "row-major: the last axis of a shape is the fastest; readers in column-major order (MATLAB, Julia, R, Fortran) see "
    "the axes reversed";

/// HDF5's native memory type for T: float, double, std::int64_t, std::uint8_t.
template <class T>
hid_t native();
template <>
inline hid_t native<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
inline hid_t native<double>() {
  return H5T_NATIVE_DOUBLE;
}
template <>
inline hid_t native<std::int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
inline hid_t native<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}

}  // namespace backplane::h5
