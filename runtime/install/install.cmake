# What is installed, included by CMakeLists.txt: the libraries, their headers, and the files by which pkg-config and
# find_package(gradc) find them.
#
# The library that the tests link has all names of the compiler; a host program should not meet them. So only what
# gradc.h declares is seen outside of the shared library, and of the static one that is installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

option(GRADC_SHARED "Build and install the shared library, too" ON)

set(header ${CMAKE_SOURCE_DIR}/runtime/gradc.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${header})
file(STRINGS ${header} declarations REGEX "^[a-z].*[ *]gradc_[a-z_]+\\(")
set(exports)
foreach(declaration IN LISTS declarations)
    if(NOT declaration MATCHES "^typedef" AND declaration MATCHES "[ *](gradc_[a-z_]+)\\(")
        list(APPEND exports ${CMAKE_MATCH_1})
    endif()
endforeach()
list(JOIN exports ";\n        " version_names)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/install/exports.map
     CONTENT "GRADC_@PROJECT_VERSION_MAJOR@ {\n    global:\n        @version_names@;\n    local: *;\n};\n" @ONLY)
list(JOIN exports "\n" export_lines)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/install/exports CONTENT "@export_lines@\n" @ONLY)

# The shared library, of the same objects.
if(GRADC_SHARED)
    add_library(libgradc_shared SHARED $<TARGET_OBJECTS:gradc_objects>)
    set_target_properties(libgradc_shared PROPERTIES OUTPUT_NAME gradc VERSION ${PROJECT_VERSION}
                          SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${CMAKE_BINARY_DIR}/install/exports.map)
    target_link_options(libgradc_shared PRIVATE LINKER:--version-script=${CMAKE_BINARY_DIR}/install/exports.map)
    if(NOT GRADC_SANITIZE)
        target_link_options(libgradc_shared PRIVATE LINKER:--no-undefined)
    endif()
    target_link_libraries(libgradc_shared PRIVATE gradc_options ${gradc_libraries})
    install(TARGETS libgradc_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

# The static library: all objects as one, in which other names than the exports are local.
set(static ${CMAKE_BINARY_DIR}/install/libgradc.a)
add_custom_command(
    OUTPUT ${static}
    COMMAND ${CMAKE_LINKER} -r -o ${CMAKE_BINARY_DIR}/install/gradc.o --whole-archive $<TARGET_FILE:libgradc>
    COMMAND ${CMAKE_OBJCOPY} --keep-global-symbols=${CMAKE_BINARY_DIR}/install/exports
            ${CMAKE_BINARY_DIR}/install/gradc.o
    COMMAND ${CMAKE_COMMAND} -E rm -f ${static}
    COMMAND ${CMAKE_AR} qc ${static} ${CMAKE_BINARY_DIR}/install/gradc.o
    COMMAND ${CMAKE_RANLIB} ${static}
    DEPENDS libgradc ${CMAKE_BINARY_DIR}/install/exports
    COMMENT "Making the static library to install" VERBATIM)
add_custom_target(libgradc_static ALL DEPENDS ${static})
install(FILES ${static} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${header} ${CMAKE_SOURCE_DIR}/runtime/gradc_frame.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# The files that find them. pkg-config's paths begin at the file itself, so that an installation can be moved.
get_filename_component(llvm_folder ${LLVM_LIBRARY} DIRECTORY)
get_filename_component(llvm_name ${LLVM_LIBRARY} NAME_WE)
string(REGEX REPLACE "^lib" "" llvm_name ${llvm_name})
set(private_libs "-L${llvm_folder} -l${llvm_name} -ljansson -lzip -lm")
set(public_libs)
if(NOT GRADC_SHARED)
    set(public_libs " ${private_libs}")
endif()
set(pkgconfig_folder ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pkgconfig ${pkgconfig_folder} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH libdir_from_prefix ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH includedir_from_prefix ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(${CMAKE_SOURCE_DIR}/runtime/install/gradc.pc.in ${CMAKE_BINARY_DIR}/install/gradc.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/install/gradc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/gradc)
configure_package_config_file(${CMAKE_SOURCE_DIR}/runtime/install/gradcConfig.cmake.in
                              ${CMAKE_BINARY_DIR}/install/gradcConfig.cmake INSTALL_DESTINATION ${package_folder}
                              NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/install/gradcConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/install/gradcConfig.cmake ${CMAKE_BINARY_DIR}/install/gradcConfigVersion.cmake
        DESTINATION ${package_folder})
