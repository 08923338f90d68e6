# Everything the build needs, found where Debian's packages put it (cmake/packages.txt). Nothing is downloaded.

find_package(Threads REQUIRED)
find_package(TBB REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(HDF5 REQUIRED COMPONENTS C HL)
find_package(yaml-cpp REQUIRED)
find_package(Boost 1.74 REQUIRED CONFIG COMPONENTS iostreams)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)

# A BLAS without a thread pool of its own that may be called by many threads at once. Debian keeps several builds of
# BLIS side by side: the serial one is named by path, at run time too. (OpenBLAS' serial build hands one packing buffer
# to two threads; see framework/design/0004.)
set(blis_dir /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/blis-serial)
find_library(BP_BLIS_LIBRARY NAMES blis PATHS ${blis_dir} NO_DEFAULT_PATH REQUIRED)
find_path(BP_BLIS_INCLUDE cblas.h PATHS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/blis-serial NO_DEFAULT_PATH REQUIRED)
add_library(blis_serial UNKNOWN IMPORTED)
set_target_properties(blis_serial PROPERTIES IMPORTED_LOCATION "${BP_BLIS_LIBRARY}"
                      INTERFACE_INCLUDE_DIRECTORIES "${BP_BLIS_INCLUDE}")

# Packages without usable CMake files of their own. (Debian's dnnl-config.cmake wants OpenCL, its libzip-config.cmake the
# programs of three other packages, none of which is used here.)
function(bp_import_library name header library)
  string(TOUPPER "BP_${name}" variable)
  find_path(${variable}_INCLUDE ${header} REQUIRED)
  find_library(${variable}_LIBRARY ${library} REQUIRED)
  add_library(${name} UNKNOWN IMPORTED)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION "${${variable}_LIBRARY}"
                        INTERFACE_INCLUDE_DIRECTORIES "${${variable}_INCLUDE}")
endfunction()
bp_import_library(onednn oneapi/dnnl/dnnl.hpp dnnl)
bp_import_library(highway hwy/highway.h hwy)
bp_import_library(deflate libdeflate.h deflate)
bp_import_library(libzip zip.h zip)

find_path(BP_RANDOM123_INCLUDE Random123/philox.h REQUIRED)
add_library(random123 INTERFACE IMPORTED)
set_target_properties(random123 PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${BP_RANDOM123_INCLUDE}")
