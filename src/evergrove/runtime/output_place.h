// Whether a file may be written where the user says, as far as the data goes that is read.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/table/row_source.h"

namespace evergrove::runtime {

// Refuses a path that is one of the source's files, by whatever name. `what` is what would be
// written there, as "The scores".
Status check_is_no_data(std::string_view what, const std::string& path,
                        const table::RowSource& source);

}  // namespace evergrove::runtime
