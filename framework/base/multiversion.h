#pragma once

#include "base/sanitizers.h"

/// Compiles a function (or template) once for each level of x86-64 and picks one when the program starts, so that
/// loops of plain arithmetic use the widest vectors of the CPU at hand. For loops whose result does not depend on
/// their order, or whose order is fixed by the source: bits are the same on any thread, not on any CPU.
///
/// Left out under sanitizers, whose run time is not yet up when the choice is made, and for clang, which cannot do it for
/// templates: what is shipped is built by g++.
#if defined(__x86_64__) && !defined(__clang__) && !BP_ADDRESS_SANITIZER && !BP_THREAD_SANITIZER
#define BP_MULTIVERSION [[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#else
#define BP_MULTIVERSION
#endif
