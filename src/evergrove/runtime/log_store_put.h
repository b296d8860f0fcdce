// OncePutter: writes an object only if there is none, in one HTTP request of the vendor's kind.
//
// Arrow's file systems have no conditional writes, so this one request is made here: S3's PUT with
// If-None-Match: * and AWS Signature Version 4; Azure's Put Blob with If-None-Match: *, signed with
// the account's key; Google's upload with ifGenerationMatch=0 and an access token. Address and, as
// far as it tells them, credentials are those that Arrow's client of the same store has, taken anew
// for each request as they may change.
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

// `shown` is the place without credentials, for messages. Refuses a store of another kind.
Result<std::unique_ptr<OncePutter>> make_once_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for);

// Those of a kind. Requires: the store is of it.
Result<std::unique_ptr<OncePutter>> make_s3_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for);
Result<std::unique_ptr<OncePutter>> make_azure_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for);
Result<std::unique_ptr<OncePutter>> make_gcs_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for);

// What an answer means, but for those that say that there is an object: `code` is the vendor's own
// word for an error. 5xx, 408, 409 and 429 may pass; others are refusals.
PutTry outcome_of_put(int answer, const std::string& code, const std::string& shown);
// The same of no answer at all.
PutTry outcome_of_silence(const Status& why, const std::string& shown);
// What stands in JSON or XML between two words; "no reason given" if nothing does.
std::string between(std::string_view text, std::string_view before, std::string_view after);

}  // namespace evergrove::runtime
