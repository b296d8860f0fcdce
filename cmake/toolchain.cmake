# Compiler settings that every target shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")

add_library(evergrove_flags INTERFACE)
# -ffp-contract=off: a fused multiply-add rounds once where two operations round twice, so a
# compiler that fuses on one machine and not on another would make two models out of one.
target_compile_options(evergrove_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-psabi -Werror -ffp-contract=off -fno-math-errno)
# g++ 12 sees overflows in its own std::string (GCC bugs 105651, 105329).
target_compile_options(evergrove_flags INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
  -Wno-maybe-uninitialized>)
target_include_directories(evergrove_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
if(EVERGROVE_SANITIZE)
  target_compile_options(evergrove_flags INTERFACE
    -fsanitize=${EVERGROVE_SANITIZE} -fno-omit-frame-pointer -g1 -fno-sanitize-recover=all)
  target_link_options(evergrove_flags INTERFACE -fsanitize=${EVERGROVE_SANITIZE})
endif()

find_program(EVERGROVE_CCACHE ccache)
if(EVERGROVE_CCACHE)
  # Sloppiness is what ccache needs to serve precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${EVERGROVE_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()
