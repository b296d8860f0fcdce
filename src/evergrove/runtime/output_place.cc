// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/output_place.h"

#include <filesystem>

namespace evergrove::runtime {

Status check_is_no_data(std::string_view what, const std::string& path,
                        const table::RowSource& source) {
  for (const std::string& file : source.file_paths()) {
    std::error_code not_there;
    if (!std::filesystem::equivalent(path, file, not_there) || not_there) continue;
    return invalid_input(
        std::string(what) + " would replace the data that is read; give another path",
        {{"path", path}});
  }
  return {};
}

}  // namespace evergrove::runtime
