#pragma once

#include "base/sanitizers.h"

/// Tells ThreadSanitizer what Debian's oneTBB, which is not built for it, keeps to itself: that a loop's bodies come
/// after what stood before the loop, and before what stands behind it. Bodies of one loop get no order among each
/// other, so that races between tasks are found. Nothing at all in other builds.
#if BP_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#define BP_HAPPENS_BEFORE(token) __tsan_release(const_cast<void*>(static_cast<const void*>(token)))
#define BP_HAPPENS_AFTER(token) __tsan_acquire(const_cast<void*>(static_cast<const void*>(token)))
#else
#define BP_HAPPENS_BEFORE(token) static_cast<void>(token)
#define BP_HAPPENS_AFTER(token) static_cast<void>(token)
#endif
