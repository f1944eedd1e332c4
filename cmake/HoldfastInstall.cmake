# What authors of plugins get: the header, pkg-config's holdfast.pc and the
# CMake package Holdfast.  Both find their prefix from where they stand, so
# that an installed tree can be moved.
include(CMakePackageConfigHelpers)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/core/include/holdfast
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(pkgconfigdir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH HF_PC_TO_PREFIX /${pkgconfigdir} /)
string(REGEX REPLACE "/$" "" HF_PC_TO_PREFIX "${HF_PC_TO_PREFIX}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/holdfast.pc.in
  ${PROJECT_BINARY_DIR}/holdfast.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/holdfast.pc DESTINATION ${pkgconfigdir})

set(HF_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/Holdfast)
set_target_properties(holdfast_plugin_api PROPERTIES EXPORT_NAME plugin)
install(TARGETS holdfast_plugin_api EXPORT HoldfastTargets)
install(EXPORT HoldfastTargets NAMESPACE Holdfast:: DESTINATION ${HF_CMAKEDIR})
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/HoldfastConfig.cmake.in
  ${PROJECT_BINARY_DIR}/HoldfastConfig.cmake
  INSTALL_DESTINATION ${HF_CMAKEDIR}
  PATH_VARS HF_PLUGINDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/HoldfastConfigVersion.cmake
  COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES
  ${PROJECT_BINARY_DIR}/HoldfastConfig.cmake
  ${PROJECT_BINARY_DIR}/HoldfastConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/HoldfastPlugin.cmake
  DESTINATION ${HF_CMAKEDIR})

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE
  ${PROJECT_SOURCE_DIR}/docs/plugins.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
