// Epochs: the numbers of the reigns over one log, from the same durable storage as the log.
//
// A coordinator takes an epoch before it reads the log. Promise: an epoch is taken once, and is
// larger than any that was taken before; what is taken stays taken over any crash. Epochs have no
// gaps, so that who has epoch n is overtaken exactly when epoch n + 1 is taken.
// An epoch is an object or file `epochs/<20 digits>` in the log's place, written only if there is
// none; it holds who took it.
//
//   EVERGROVE_ASSIGN_OR_RETURN(const uint64_t epoch, take_epoch("s3://bucket/run", "host:4000"));
//   EVERGROVE_ASSIGN_OR_RETURN(auto log, RunLog::open("s3://bucket/run", {.epoch = epoch}));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

class LogStore;

// Takes the next epoch of a log (a folder or the URL of an object store). `name` is for people.
Result<uint64_t> take_epoch(const std::string& place, const std::string& name);
Result<uint64_t> take_epoch(LogStore& store, const std::string& name);

// The largest epoch that was taken; 0: none.
Result<uint64_t> current_epoch(const std::string& place);
Result<uint64_t> current_epoch(LogStore& store);

// Who took the epoch after this one; nothing: nobody did.
Result<std::optional<std::string>> overtaker(LogStore& store, uint64_t epoch);

// Fails with storage if an epoch above this one was taken. Cheap.
Status check_not_overtaken(const std::string& folder, uint64_t epoch);
Status check_not_overtaken(LogStore& store, uint64_t epoch);

// What a coordinator says that another one has taken over from.
Status overtaken(const std::string& place, uint64_t epoch, const std::string& by);

}  // namespace evergrove::runtime
