// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/peak_memory.h"

#include <sys/resource.h>

#include <charconv>
#include <fstream>
#include <string>

namespace evergrove::runtime {

uint64_t peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmHWM:")) continue;
    const size_t digits = line.find_first_of("0123456789");
    uint64_t kilobytes = 0;
    if (digits != std::string::npos) {
      std::from_chars(line.data() + digits, line.data() + line.size(), kilobytes);
    }
    if (kilobytes > 0) return kilobytes * 1024;
  }
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace evergrove::runtime
