#pragma once

#include <cfenv>
#include <cstdint>

namespace backplane {

/// How this thread rounds, treats denormal numbers and traps, when this is made: a plug-in that changes it changes the
/// bits of whatever the thread computes next. Reading it costs about as much as a few additions.
class FloatingPointMode {
 public:
  FloatingPointMode() : saved_(read()) {}

  /// Undoes what has changed since, and says it: "another rounding mode". nullptr: nothing has.
  const char* put_back() const {
    const std::uint64_t changed = read() ^ saved_;
    if (changed == 0) return nullptr;
    write(saved_);
    if ((changed & kRounding) != 0) return "another rounding mode";
    if ((changed & kDenormals) != 0) return "another treatment of denormal numbers (flush to zero)";
    return "other floating-point traps";
  }

 private:
#if defined(__x86_64__)
  // The control register of SSE and AVX, without its flags of what has happened.
  static constexpr std::uint64_t kRounding = 3u << 13, kDenormals = 1u << 15 | 1u << 6, kFlags = 0x3F;
  static std::uint64_t read() {
    return __builtin_ia32_stmxcsr() & ~kFlags;
  }
  static void write(std::uint64_t mode) {
    __builtin_ia32_ldmxcsr(static_cast<unsigned>(mode));
    std::fesetround(static_cast<int>((mode & kRounding) >> 3));  // of the x87 unit too, which keeps the bits elsewhere
  }
#elif defined(__aarch64__)
  static constexpr std::uint64_t kRounding = 3u << 22, kDenormals = 1u << 24;
  static std::uint64_t read() {
    return __builtin_aarch64_get_fpcr64();
  }
  static void write(std::uint64_t mode) {
    __builtin_aarch64_set_fpcr64(mode);
  }
#else
  // Of other processors nothing is looked at, and nothing found to have changed.
  static constexpr std::uint64_t kRounding = 0, kDenormals = 0;
  static std::uint64_t read() {
    return 0;
  }
  static void write(std::uint64_t) {}
#endif
  std::uint64_t saved_;
};

}  // namespace backplane
