#include "hdf5/handle.h"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>

#include "base/thread_checks.h"

namespace backplane::h5 {

namespace {

herr_t keep_first_reason(unsigned, const H5E_error2_t* error, void* text) {
  auto& reason = *static_cast<std::string*>(text);
  if (reason.empty() && error->desc != nullptr) reason = error->desc;
  return 0;
}

/// The library says so, or fails without a reason, for which it needs memory as well.
bool tells_of_too_little_memory(const std::string& reason) {
  constexpr std::size_t kLittle = 1 << 20;
  if (reason.empty()) return std::unique_ptr<char[]>(new (std::nothrow) char[kLittle]) == nullptr;
  return reason.find("unable to allocate memory") != std::string::npos ||
         reason.find("memory allocation failed") != std::string::npos;
}

}  // namespace

LibraryError::LibraryError(std::string attempted, std::string why)
    : InternalError(fmt::format("HDF5 could not {} ({})", attempted, why)),
      attempt(std::move(attempted)),
      reason(std::move(why)) {}

void check(herr_t status, const char* what) {
  if (status >= 0) return;
  const std::string reason = innermost_reason();
  if (tells_of_too_little_memory(reason)) throw std::bad_alloc();
  throw LibraryError(what, reason);
}

Handle::Handle(hid_t id, Closer closer, const char* what) : id_(id), closer_(closer) {
  BP_NOT_ON_THREAD(compute);  // the library has one lock, and workers wait for none
  check(id < 0 ? -1 : 0, what);
}

std::string innermost_reason() {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first_reason, &reason);
  return reason;
}

int errno_in(const std::string& reason) {
  constexpr std::string_view kMark = "errno = ";
  const std::size_t at = reason.find(kMark);
  return at == std::string::npos ? 0 : std::atoi(reason.c_str() + at + kMark.size());
}

void make_quiet_and_safe() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);
}

}  // namespace backplane::h5
