// For tests: which sanitizers this is built with, as 1 or 0. GCC and clang say it in other words.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(__has_feature)
#define EVERGROVE_HAS_FEATURE(name) __has_feature(name)
#else
#define EVERGROVE_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || EVERGROVE_HAS_FEATURE(address_sanitizer)
#define EVERGROVE_ADDRESS_SANITIZER 1
#else
#define EVERGROVE_ADDRESS_SANITIZER 0
#endif

#if defined(__SANITIZE_THREAD__) || EVERGROVE_HAS_FEATURE(thread_sanitizer)
#define EVERGROVE_THREAD_SANITIZER 1
#else
#define EVERGROVE_THREAD_SANITIZER 0
#endif
