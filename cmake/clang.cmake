# Builds with clang; lld, because it links the debug information of the sanitizers' builds faster.
# SPDX-License-Identifier: Apache-2.0
set(CMAKE_C_COMPILER clang)
set(CMAKE_CXX_COMPILER clang++)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-fuse-ld=lld")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-fuse-ld=lld")
