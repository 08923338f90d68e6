# `cmake --install`: the program, its plug-ins, the SDK's headers and a CMake package for authors of plug-ins.

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/backplane")

install(EXPORT backplane NAMESPACE backplane:: FILE backplane-targets.cmake DESTINATION "${package_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/package/backplane-config.cmake.in"
                              "${PROJECT_BINARY_DIR}/backplane-config.cmake"
                              INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_BINDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/backplane-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/backplane-config.cmake" "${PROJECT_BINARY_DIR}/backplane-config-version.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/backplane-plugin.cmake"
        DESTINATION "${package_dir}")
