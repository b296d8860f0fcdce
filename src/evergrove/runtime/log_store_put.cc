// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/log_store_put.h"

#include <arrow/filesystem/filesystem.h>

#include <algorithm>

namespace evergrove::runtime {

Result<std::unique_ptr<OncePutter>> make_once_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for) {
  const std::string kind = store->type_name();
  if (kind == "s3") return make_s3_putter(store, shown, try_for);
  if (kind == "abfs") return make_azure_putter(store, shown, try_for);
  if (kind == "gcs") return make_gcs_putter(store, shown, try_for);
  return unsupported(
      "A log cannot be kept in this kind of store; use s3://, gs://, abfs:// or a local folder",
      {{"log", shown}});
}

PutTry outcome_of_put(int answer, const std::string& code, const std::string& shown) {
  if (answer >= 200 && answer < 300) return {PutTry::written, {}};
  const bool may_pass = answer >= 500 || answer == 409 || answer == 408 || answer == 429 ||
                        code == "RequestTimeout" || code == "SlowDown";
  const Details details = {{"log", shown}, {"answer", std::to_string(answer)}, {"error", code}};
  if (answer == 501) {
    return {PutTry::refused,
            storage_error("The log's object store cannot write only what is not there yet "
                          "(If-None-Match); use another store, or a local folder",
                          details)};
  }
  if (may_pass) {
    return {PutTry::failed,
            storage_error("The log's object store fails; repeat the command later", details)};
  }
  return {
      PutTry::refused,
      storage_error("The log's object store refuses to write; check bucket and access", details)};
}

PutTry outcome_of_silence(const Status& why, const std::string& shown) {
  const bool may_pass = why.kind() == StatusKind::storage;
  return {may_pass ? PutTry::failed : PutTry::refused, why.with_context(shown)};
}

std::string between(std::string_view text, std::string_view before, std::string_view after) {
  constexpr size_t kLengthMax = 100;
  const size_t start = text.find(before);
  if (start == std::string_view::npos) return "no reason given";
  const std::string_view rest = text.substr(start + before.size());
  const size_t end = rest.find(after);
  if (end == std::string_view::npos) return "no reason given";
  return std::string(rest.substr(0, std::min(end, kLengthMax)));
}

}  // namespace evergrove::runtime
