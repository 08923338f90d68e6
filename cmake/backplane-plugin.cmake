# bp_add_plugin(name SOURCES file… [DEPENDS target…]): a layer plug-in, the shared library <name>.bp.so with the one
# exported symbol that abi.h asks for. The same function serves the plug-ins of this tree and, from the installed
# package (find_package(backplane)), those of anybody else. A project that sets no build type gets optimised plug-ins:
# unoptimised ones take several times as long.

set(BP_PLUGIN_DIR "${CMAKE_BINARY_DIR}/plugins" CACHE INTERNAL "Where the build puts plug-ins")

function(bp_add_plugin name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name}_plugin MODULE ${arg_SOURCES})
  target_link_libraries(${name}_plugin PRIVATE backplane::sdk ${arg_DEPENDS})
  # No a·b + c in one rounding, which compilers do in the vectorised part of a loop and in its remainder not always
  # alike: the bits of an element would depend on where the host cuts a batch, and on the processor.
  target_compile_options(${name}_plugin PRIVATE -ffp-contract=off $<$<CONFIG:>:-O3>)
  set_target_properties(${name}_plugin PROPERTIES
    OUTPUT_NAME "${name}" PREFIX "" SUFFIX ".bp.so"
    LIBRARY_OUTPUT_DIRECTORY "${BP_PLUGIN_DIR}"
    # No empty element in the run path, as CMake would leave it in a build: it means the current directory.
    BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH_USE_LINK_PATH ON
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  # Archives linked in keep their symbols to themselves. Undefined symbols are an error at link time, except under
  # sanitizers, whose run time is found in the host program.
  # Symbols are bound at once, as the host asks for anyway, and the tables of their addresses are read-only after that.
  target_link_options(${name}_plugin PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,relro,-z,now)
  if(NOT BP_SANITIZE)
    target_link_options(${name}_plugin PRIVATE -Wl,-z,defs)
  endif()
endfunction()
