// The JSON of a model file, which its checksum would otherwise keep a fuzzer from.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "evergrove/runtime/model_metadata.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evergrove::runtime;
  const auto read = metadata_from_json({reinterpret_cast<const char*>(data), size});
  if (!read.ok()) return 0;
  // What was taken is written and taken again without a change.
  const std::string once = metadata_to_json(read->model, read->digest);
  const auto again = metadata_from_json(once);
  if (!again.ok() || metadata_to_json(again->model, again->digest) != once) std::abort();
  return 0;
}
