// Google: an upload with ifGenerationMatch=0, which is refused with 412 where there is an object.
// https://cloud.google.com/storage/docs/request-preconditions
// SPDX-License-Identifier: Apache-2.0
#include <arrow/filesystem/gcsfs.h>

#include "evergrove/runtime/google_token.h"
#include "evergrove/runtime/log_store_http.h"
#include "evergrove/runtime/log_store_put.h"
#include "evergrove/runtime/signing.h"

namespace evergrove::runtime {
namespace {

class GcsPutter : public OncePutter {
 public:
  static Result<std::unique_ptr<OncePutter>> make(
      const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
      std::chrono::milliseconds try_for) {
    const auto& gcs = static_cast<const arrow::fs::GcsFileSystem&>(*store);
    const arrow::fs::GcsOptions& options = gcs.options();
    const std::string host =
        options.endpoint_override.empty() ? "storage.googleapis.com" : options.endpoint_override;
    EVERGROVE_ASSIGN_OR_RETURN(
        const HttpAddress address,
        parse_http_address(host, options.scheme.empty() ? "https" : options.scheme));
    std::unique_ptr<GcsPutter> putter(new GcsPutter(address, shown, try_for));
    putter->is_anonymous_ = options.credentials.anonymous();
    putter->given_token_ = options.credentials.access_token();
    if (!putter->is_anonymous_ && putter->given_token_.empty()) {
      EVERGROVE_ASSIGN_OR_RETURN(GoogleIdentity identity, google_identity_of_environment());
      putter->token_ = std::make_unique<GoogleToken>(std::move(identity));
    }
    return std::unique_ptr<OncePutter>(std::move(putter));
  }

  PutTry put(const std::string& place, std::string_view bytes) override {
    const size_t slash = place.find('/');
    HttpRequest request;
    request.method = "POST";
    request.target =
        "/upload/storage/v1/b/" + escaped_path(place.substr(0, slash)) +
        "/o?uploadType=media&ifGenerationMatch=0&name=" +
        escaped_path(place.substr(slash == std::string::npos ? place.size() : slash + 1));
    request.headers = {{"Content-Type", "application/octet-stream"}};
    request.body = bytes;
    std::string token = given_token_;
    if (token_) {
      Result<std::string> got = token_->get(try_for_);
      if (!got.ok()) return outcome_of_silence(got.status(), shown_);
      token = *std::move(got);
    }
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
    const Result<HttpAnswer> answer = client_.send(request, try_for_);
    if (!answer.ok()) return outcome_of_silence(answer.status(), shown_);
    if (answer->code == 412) return {PutTry::exists, {}};
    return outcome_of_put(answer->code, between(answer->body, "\"reason\": \"", "\""), shown_);
  }

 private:
  GcsPutter(const HttpAddress& address, std::string shown, std::chrono::milliseconds try_for)
      : client_(address), shown_(std::move(shown)), try_for_(try_for) {}

  HttpClient client_;
  std::string shown_;
  std::chrono::milliseconds try_for_;
  bool is_anonymous_ = false;
  std::string given_token_;  // in the store's URL
  std::unique_ptr<GoogleToken> token_;
};

}  // namespace

Result<std::unique_ptr<OncePutter>> make_gcs_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for) {
  return GcsPutter::make(store, shown, try_for);
}

}  // namespace evergrove::runtime
