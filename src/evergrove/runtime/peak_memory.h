// The most memory that this process has had resident.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace evergrove::runtime {

// From /proc/self/status (VmHWM); getrusage where there is none, whose figure may be that of the
// process which started this one.
uint64_t peak_rss_bytes();

}  // namespace evergrove::runtime
