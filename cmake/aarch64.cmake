# Builds the core for aarch64 on another CPU and runs it by qemu-user.
#
# The compiler and its C library are Debian's (g++-aarch64-linux-gnu); the libraries that we link
# (TBB, Highway, GoogleTest, RapidCheck) are unpacked by script/aarch64 into the sysroot folder.
# SPDX-License-Identifier: Apache-2.0
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
get_filename_component(EVERGROVE_SYSROOT
  "${CMAKE_CURRENT_LIST_DIR}/../build/sysroot-aarch64" ABSOLUTE)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# For what is named without a CMake package, and for what those libraries themselves need.
set(CMAKE_CXX_FLAGS_INIT "-isystem ${EVERGROVE_SYSROOT}/usr/include")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${EVERGROVE_SYSROOT}/usr/lib/aarch64-linux-gnu \
-Wl,-rpath-link,${EVERGROVE_SYSROOT}/usr/lib/aarch64-linux-gnu")

set(CMAKE_FIND_ROOT_PATH ${EVERGROVE_SYSROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR
  qemu-aarch64 -L /usr/aarch64-linux-gnu
  -E LD_LIBRARY_PATH=${EVERGROVE_SYSROOT}/usr/lib/aarch64-linux-gnu)

# pkg-config answers for the sysroot and puts it before the paths it gives.
set(ENV{PKG_CONFIG_LIBDIR}
  ${EVERGROVE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${EVERGROVE_SYSROOT}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${EVERGROVE_SYSROOT})
