// The run log: any bytes are refused, or give a prefix that stands by itself.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "evergrove/runtime/run_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evergrove::runtime;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto log = decode_run_log(bytes);
  if (!log.ok()) return 0;
  if (log->torn_bytes > size) std::abort();
  const auto whole = decode_run_log(bytes.substr(0, size - log->torn_bytes));
  if (!whole.ok() || whole->torn_bytes != 0) std::abort();
  if (whole->iterations.size() != log->iterations.size()) std::abort();
  return 0;
}
