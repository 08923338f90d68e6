# One target per folder of framework/: `bp_add_folder(trainer SOURCES … DEPENDS …)` makes the static library
# backplane_trainer with the alias backplane::trainer. Includes are written "folder/file.h"; a folder may include only
# what it names in DEPENDS, so arrows between folders are written down here and nowhere else. COMPUTES: it reads nothing
# that others wrote, and its loops are what a training step consists of.

add_library(bp_flags INTERFACE)
target_compile_features(bp_flags INTERFACE cxx_std_20)
# g++ 12 sees overlaps and uninitialised parts in std::string that are not there (GCC bugs 105329, 105562).
target_compile_options(bp_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wno-missing-field-initializers
                       "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-maybe-uninitialized>")
# No contraction of a·b + c into one rounding: the compiler does it in the vectorised part of a loop and in its
# remainder not always alike, and the bits of an element would depend on where a range was cut.
target_compile_options(bp_flags INTERFACE -ffp-contract=off -fno-math-errno)
target_compile_definitions(bp_flags INTERFACE "$<$<NOT:$<CONFIG:Release>>:BP_CHECK_THREADS=1>")
if(BP_SANITIZE)
  target_compile_options(bp_flags INTERFACE -fsanitize=${BP_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(bp_flags INTERFACE -fsanitize=${BP_SANITIZE})
endif()

# Damage of memory ends the program instead of being used: writes past buffers of known size, indices outside standard
# containers, overwritten return addresses, stacks that run into other memory. Everywhere but in folders that COMPUTE;
# what it costs is in framework/design/0008-doors.md.
add_library(bp_hardening INTERFACE)
target_compile_definitions(bp_hardening INTERFACE _GLIBCXX_ASSERTIONS)
if(NOT BP_SANITIZE)
  target_compile_options(bp_hardening INTERFACE -fstack-protector-strong -fstack-clash-protection
                         "$<$<NOT:$<CONFIG:Debug>>:SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>")  # needs optimisation
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
    target_compile_options(bp_hardening INTERFACE -fcf-protection)
  endif()
endif()

# Compiles the sources of a target a few at a time, which reads the headers that they share once (BP_UNITY).
function(bp_compile_together target)
  if(BP_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    target_compile_options(${target} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>")  # takes the sources for headers
  endif()
endfunction()

# A folder of the framework. COMPUTES: without the checks of bp_hardening. ONE_BY_ONE: its sources do not go together
# in one translation unit.
function(bp_add_folder name)
  cmake_parse_arguments(arg "COMPUTES;ONE_BY_ONE" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(backplane_${name} STATIC ${arg_SOURCES})
  add_library(backplane::${name} ALIAS backplane_${name})
  target_include_directories(backplane_${name} PUBLIC "${PROJECT_SOURCE_DIR}/framework")
  target_link_libraries(backplane_${name} PUBLIC bp_flags ${arg_DEPENDS})
  if(NOT arg_COMPUTES)
    target_link_libraries(backplane_${name} PRIVATE bp_hardening)
  endif()
  if(NOT arg_ONE_BY_ONE)
    bp_compile_together(backplane_${name})
  endif()
endfunction()
