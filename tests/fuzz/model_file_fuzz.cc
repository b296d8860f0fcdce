// The model file: any bytes are refused or make a model that is what it says.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "evergrove/model/model.h"
#include "evergrove/runtime/model_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto model = evergrove::runtime::model_from_bytes(bytes);
  if (model.ok() && !evergrove::model::validate(*model).ok()) std::abort();
  return 0;
}
