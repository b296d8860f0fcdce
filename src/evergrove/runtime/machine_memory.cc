// Control groups, version 2: /proc/self/cgroup has "0::PATH", and each folder from there up may
// have a limit in memory.max. Version 1: "N:memory:PATH", with memory.limit_in_bytes. In a
// container the path may be the one outside, and the limit is at the top of what is seen; so every
// folder from PATH up to the top is looked at, as far as it is there.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/machine_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>

namespace evergrove::runtime {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// The number that a file holds; no limit if it is not there, or says "max".
uint64_t limit_in(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  file >> text;
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  return is_number && bytes > 0 ? bytes : kNoLimit;
}

uint64_t limit_above(const std::string& top, std::string path, const std::string& file) {
  uint64_t bytes = kNoLimit;
  while (true) {
    bytes = std::min(bytes, limit_in(std::string(top).append(path).append("/").append(file)));
    const size_t slash = path.rfind('/');
    if (path.empty() || slash == std::string::npos) return bytes;
    path.resize(slash);
  }
}

// A limit of this process's own; no limit if there is none.
uint64_t own_limit(decltype(RLIMIT_DATA) kind) {
  rlimit limit = {};
  const bool is_limited = ::getrlimit(kind, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return is_limited ? limit.rlim_cur : kNoLimit;
}

}  // namespace

uint64_t machine_memory_bytes(const std::string& root) {
  const auto pages = static_cast<uint64_t>(std::max(1L, sysconf(_SC_PHYS_PAGES)));
  uint64_t bytes = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      bytes = std::min(bytes, limit_above(root + "/sys/fs/cgroup", path, "memory.max"));
    } else if (controllers.find(",memory,") != std::string::npos) {
      bytes = std::min(bytes,
                       limit_above(root + "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
    }
  }
  return bytes;
}

uint64_t process_memory_bytes() {
  uint64_t bytes = std::min(machine_memory_bytes(), own_limit(RLIMIT_DATA));
  const uint64_t address_space = own_limit(RLIMIT_AS);
  if (address_space != kNoLimit) {
    // Pages of all, resident, shared, code, 0, data, 0.
    uint64_t all = 0, data = 0, skipped = 0;
    std::ifstream file("/proc/self/statm");
    file >> all >> skipped >> skipped >> skipped >> skipped >> data;
    const uint64_t mapped = (all - std::min(all, data)) * static_cast<uint64_t>(::getpagesize());
    bytes = std::min(bytes, address_space - std::min(address_space, mapped));
  }
  return bytes;
}

bool has_memory_limit() {
  return own_limit(RLIMIT_DATA) != kNoLimit || own_limit(RLIMIT_AS) != kNoLimit;
}

}  // namespace evergrove::runtime
