# Mbed TLS, for making certificates and for TLS to object stores; static, as the wheel and the
# command are to run where it is not installed. Defines the target mbedtls.
# SPDX-License-Identifier: Apache-2.0
find_path(EVERGROVE_MBEDTLS_INCLUDE mbedtls/x509_crt.h)
find_library(EVERGROVE_MBEDTLS libmbedtls.a)
find_library(EVERGROVE_MBEDX509 libmbedx509.a)
find_library(EVERGROVE_MBEDCRYPTO libmbedcrypto.a)
foreach(part EVERGROVE_MBEDTLS_INCLUDE EVERGROVE_MBEDTLS EVERGROVE_MBEDX509 EVERGROVE_MBEDCRYPTO)
  if(NOT ${part})
    message(FATAL_ERROR "Mbed TLS was not found (${part}); script/setup installs libmbedtls-dev")
  endif()
endforeach()
add_library(mbedtls INTERFACE)
target_include_directories(mbedtls SYSTEM INTERFACE ${EVERGROVE_MBEDTLS_INCLUDE})
target_link_libraries(mbedtls INTERFACE
  ${EVERGROVE_MBEDTLS} ${EVERGROVE_MBEDX509} ${EVERGROVE_MBEDCRYPTO})
# Debian builds the archives with -fPIE: fit for a shared library (Python's module) only where their
# symbols are its own.
target_link_options(mbedtls INTERFACE
  -Wl,--exclude-libs,libmbedtls.a:libmbedx509.a:libmbedcrypto.a)
