// A run's log in a folder: RunLog over a file that is appended to.
//
// What a crash left torn at the end is cut off when the file is opened to be gone on in; which
// bytes those are, log_frame.h says. For run_log.cc; RunLog::open() is what others call.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "evergrove/base/status.h"
#include "evergrove/runtime/run_log.h"

namespace evergrove::runtime {

Result<std::unique_ptr<RunLog>> open_file_log(const std::string& folder, RunLogOptions options);

}  // namespace evergrove::runtime
