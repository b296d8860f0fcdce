// A run's log on an object store: RunLog over objects that are written once.
//
// Record n is the object records/<20 digits of n>: the header is record 0, iteration i record
// i + 1. A run decides the same bytes whoever runs it, so a record that is there already with the
// same bytes is durable; with other bytes the log belongs to another run, and this one fails.
// For run_log.cc and tests; RunLog::open() is what others call.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "evergrove/base/status.h"
#include "evergrove/runtime/log_store.h"
#include "evergrove/runtime/run_log.h"

namespace evergrove::runtime {

inline constexpr size_t kPutsInFlightMax = 16;
inline constexpr size_t kGetsInFlightMax = 16;

// Reads the records from 0 up to the first gap; what is after it was never reported as durable.
Result<RunLogContents> read_object_log(LogStore& store);

Result<std::unique_ptr<RunLog>> open_object_log(std::unique_ptr<LogStore> store,
                                                RunLogOptions options);

}  // namespace evergrove::runtime
