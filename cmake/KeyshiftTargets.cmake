# One static library per folder. A folder may include only what it links: the link graph is the architecture.
add_library(keyshift_options INTERFACE)
if(KEYSHIFT_FUZZ)
    target_compile_options(keyshift_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(KEYSHIFT_SANITIZE)
    # Warnings are the business of the build that is shipped; what instruments the code is warned of besides.
    target_compile_options(keyshift_options INTERFACE -w)
else()
    target_compile_options(keyshift_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror)
    # g++ 12 warns of what it makes of std::string itself (GCC bug 105651), and of a precompiled header it forgets that it is the system's.
    target_compile_options(keyshift_options INTERFACE -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
endif()
target_include_directories(keyshift_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_definitions(keyshift_options INTERFACE
    KEYSHIFT_VERSION="${PROJECT_VERSION}" $<$<BOOL:${KEYSHIFT_FAILPOINTS}>:KEYSHIFT_FAILPOINTS>)
if(KEYSHIFT_SANITIZE)
    target_compile_options(keyshift_options INTERFACE -fsanitize=${KEYSHIFT_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(keyshift_options INTERFACE -fsanitize=${KEYSHIFT_SANITIZE})
    if(KEYSHIFT_SANITIZE MATCHES "undefined")
        target_compile_options(keyshift_options INTERFACE -fno-sanitize-recover=undefined)
    endif()
endif()

# What most files read anyway, parsed once: a fifth of what they cost. A source still includes what it uses: the headers
# are compiled without this, each alone (all_verify_interface_header_sets).
set(KEYSHIFT_PRECOMPILED
    <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <cstdint> <cstdlib> <deque> <filesystem> <fstream> <functional> <map>
    <memory> <mutex> <optional> <random> <set> <sstream> <stop_token> <string> <string_view> <thread> <unordered_map> <utility>
    <variant> <vector> <fmt/core.h> <fmt/format.h>)
# Not for what is shipped, which is compiled seldom: with -O2 and such a header g++ 12 warns of much that is the system's.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
endif()
# keyshift_precompile(NAME HEADERS <a> ... LINK lib ...): for targets of the same compile options, which say REUSE_FROM NAME.
function(keyshift_precompile name)
    cmake_parse_arguments(arg "" "" "HEADERS;LINK" ${ARGN})
    file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/precompiled/${name}.cpp" CONTENT "")
    add_library(${name} STATIC "${CMAKE_BINARY_DIR}/precompiled/${name}.cpp")
    target_link_libraries(${name} PRIVATE keyshift_options Threads::Threads fmt::fmt ${arg_LINK})
    target_precompile_headers(${name} PRIVATE ${KEYSHIFT_PRECOMPILED} ${arg_HEADERS})
    # No two compilations write the same bytes: what ccache (CCACHE_PCH_EXTSUM) knows it by, in whatever tree it was made.
    file(CONFIGURE OUTPUT "CMakeFiles/${name}.dir/cmake_pch.hxx.gch.sum"
        CONTENT "${CMAKE_CXX_COMPILER_VERSION} ${fmt_VERSION} ${GTest_VERSION} ${KEYSHIFT_PRECOMPILED} ${arg_HEADERS}")
endfunction()
keyshift_precompile(keyshift_precompiled)

# keyshift_library(NAME SOURCES a.cpp ... HEADERS a.hpp ... LINK x y PRIVATE z)
function(keyshift_library name)
    cmake_parse_arguments(arg "" "" "SOURCES;HEADERS;LINK;PRIVATE" ${ARGN})
    add_library(${name} STATIC)
    target_sources(${name} PRIVATE ${arg_SOURCES})
    if(arg_HEADERS)
        target_sources(${name} PUBLIC FILE_SET HEADERS BASE_DIRS "${CMAKE_SOURCE_DIR}" FILES ${arg_HEADERS})
        set_target_properties(${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
    endif()
    target_link_libraries(${name} PUBLIC keyshift_options ${arg_LINK} PRIVATE ${arg_PRIVATE})
    target_precompile_headers(${name} REUSE_FROM keyshift_precompiled)
endfunction()
