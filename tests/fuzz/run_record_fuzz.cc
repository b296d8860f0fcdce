// Any bytes as a record of a run: no crash, no memory beyond what the bytes justify, and what is
// taken is written back as it was.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "evergrove/train/run_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto iteration = evergrove::train::decode_iteration(bytes); iteration.ok()) {
    if (evergrove::train::encode_iteration(*iteration) != bytes) std::abort();
  }
  if (const auto header = evergrove::train::decode_header(bytes); header.ok()) {
    // The JSON may be written another way, so that the second writing is the first to compare.
    const std::string written = evergrove::train::encode_header(*header);
    const auto again = evergrove::train::decode_header(written);
    if (!again.ok() || evergrove::train::encode_header(*again) != written) std::abort();
  }
  return 0;
}
