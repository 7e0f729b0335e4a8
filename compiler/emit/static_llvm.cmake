# Whether the program `gradc` has LLVM inside: it then starts in a few milliseconds, and needs no libLLVM where it runs. As
# a shared library, of which a process needs a tenth, LLVM takes ten times as long to be loaded. Sets static_llvm to
# what to link with; empty: the shared library.
#
# Debug builds take the shared one: they are linked often.
set(static_llvm "")
if(GRADC_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
    set(static_llvm_default OFF)
else()
    set(static_llvm_default ON)
endif()
option(GRADC_STATIC_LLVM "Link LLVM into the program gradc" ${static_llvm_default})

if(GRADC_STATIC_LLVM)
    execute_process(COMMAND ${LLVM_CONFIG} --link-static --libfiles core orcjit nativecodegen OUTPUT_VARIABLE archives
                    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    separate_arguments(archives)
    # What those archives need. LLVM's package brings the libraries themselves, if not what compilers find them by.
    set(needed "")
    foreach(name stdc++:libstdc++.so.6 z:libz.so.1 zstd:libzstd.so.1)
        string(REPLACE ":" ";" names ${name})
        list(GET names 0 variable)
        string(MAKE_C_IDENTIFIER "${variable}_LIBRARY" variable)
        find_library(${variable} NAMES ${names})
        mark_as_advanced(${variable})
        if(NOT ${variable})
            set(failed "${names}")
        endif()
        list(APPEND needed ${${variable}})
    endforeach()
    if(failed)
        message(STATUS "LLVM is not linked into gradc: its static libraries, or what they need, are not all there")
    else()
        set(static_llvm -Wl,--gc-sections -Wl,--start-group ${archives} -Wl,--end-group ${needed})
    endif()
endif()
