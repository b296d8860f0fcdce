// The configuration file and the settings in it.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string_view>

#include "evergrove/cli/config_file.h"
#include "evergrove/train/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  evergrove::cli::TrainOptions options;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!evergrove::cli::apply_config(text, "fuzz.toml", options).ok()) return 0;
  evergrove::train::Parameters parameters;
  for (const std::string& setting : options.settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) continue;
    const auto status = evergrove::train::set_parameter(parameters, setting.substr(0, equals),
                                                        setting.substr(equals + 1));
    if (!status.ok()) continue;
    // What can be set can be written as JSON and read back.
    const std::string json = evergrove::train::to_json(parameters);
    const auto back = evergrove::train::from_json(json);
    if (back.ok() && evergrove::train::to_json(*back) != json) __builtin_trap();
  }
  return 0;
}
