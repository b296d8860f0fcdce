// OncePutter: writes an object only if there is none, in one HTTP request of the vendor's kind.
//
// Arrow's file systems have no conditional writes, so this one request is made here: S3's PUT with
// If-None-Match: * and AWS Signature Version 4. Credentials, region and address are those that
// Arrow's client of the same store has, taken anew for each request as they may change.
// Many threads may use one at once; a failed try may have written the object all the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/runtime/log_store.h"

namespace arrow::fs {
class FileSystem;
}

namespace evergrove::runtime {

class OncePutter {
 public:
  virtual ~OncePutter() = default;
  // `place` is bucket/path.
  virtual PutTry put(const std::string& place, std::string_view bytes) = 0;
};

// `shown` is the place without credentials, for messages.
Result<std::unique_ptr<OncePutter>> make_once_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for);

}  // namespace evergrove::runtime
