#pragma once

/// 1 in a build for that sanitizer, else 0: g++ says it by a macro, clang by a feature.
#if defined(__SANITIZE_ADDRESS__)
#define BP_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BP_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef BP_ADDRESS_SANITIZER
#define BP_ADDRESS_SANITIZER 0
#endif

#if defined(__SANITIZE_THREAD__)
#define BP_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BP_THREAD_SANITIZER 1
#endif
#endif
#ifndef BP_THREAD_SANITIZER
#define BP_THREAD_SANITIZER 0
#endif

namespace backplane {

/// Whether memory or threads are watched: what takes far more memory, and says on stderr what it finds.
inline constexpr bool kIsSanitized = BP_ADDRESS_SANITIZER || BP_THREAD_SANITIZER;

}  // namespace backplane
