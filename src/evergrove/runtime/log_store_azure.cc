// Azure: Put Blob with If-None-Match: *, signed with the account's key.
//
// Arrow's client does not give its credentials away, so the key is taken from where it has it too
// (source/store.cc): AZURE_STORAGE_KEY or AZURE_STORAGE_ACCOUNT_KEY. An answer of 409 with
// BlobAlreadyExists, or of 412, says that the object exists.
// SPDX-License-Identifier: Apache-2.0
#include <arrow/filesystem/azurefs.h>

#include <cstdlib>
#include <ctime>

#include "evergrove/runtime/azure_signature.h"
#include "evergrove/runtime/log_store_http.h"
#include "evergrove/runtime/log_store_put.h"
#include "evergrove/runtime/signing.h"

namespace evergrove::runtime {
namespace {

std::string account_key() {
  for (const char* name : {"AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"}) {
    const char* key = std::getenv(name);
    if (key != nullptr && *key != '\0') return key;
  }
  return "";
}

class AzurePutter : public OncePutter {
 public:
  static Result<std::unique_ptr<OncePutter>> make(
      const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
      std::chrono::milliseconds try_for) {
    const auto& azure = static_cast<const arrow::fs::AzureFileSystem&>(*store);
    const arrow::fs::AzureOptions& options = azure.options();
    // A host that begins with a dot comes after the account's name; on others the account is the
    // first part of the path.
    const bool is_after_name = options.blob_storage_authority.starts_with(".");
    const std::string host =
        (is_after_name ? options.account_name : "") + options.blob_storage_authority;
    EVERGROVE_ASSIGN_OR_RETURN(const HttpAddress address,
                               parse_http_address(host, options.blob_storage_scheme));
    return std::unique_ptr<OncePutter>(
        new AzurePutter(address, options.account_name,
                        is_after_name ? "/" : "/" + options.account_name + "/", shown, try_for));
  }

  PutTry put(const std::string& place, std::string_view bytes) override {
    const std::string key = account_key();
    if (key.empty()) {
      return {PutTry::refused,
              unsupported("A log on Azure needs the account's key in AZURE_STORAGE_KEY; other "
                          "credentials can read data, but not keep a log",
                          {{"log", shown_}})};
    }
    HttpRequest request;
    request.method = "PUT";
    request.target = escaped_path(root_ + place);
    request.headers = {{"If-None-Match", "*"},
                       {"Content-Type", "application/octet-stream"},
                       {"x-ms-blob-type", "BlockBlob"}};
    request.body = bytes;
    const Status is_signed = sign_azure(request, {account_, key}, std::time(nullptr));
    if (!is_signed.ok()) return {PutTry::refused, is_signed.with_context(shown_)};
    const Result<HttpAnswer> answer = client_.send(request, try_for_);
    if (!answer.ok()) return outcome_of_silence(answer.status(), shown_);
    const std::string code = between(answer->body, "<Code>", "</Code>");
    const bool exists = answer->code == 412 || (answer->code == 409 && code == "BlobAlreadyExists");
    if (exists) return {PutTry::exists, {}};
    return outcome_of_put(answer->code, code, shown_);
  }

 private:
  AzurePutter(const HttpAddress& address, std::string account, std::string root, std::string shown,
              std::chrono::milliseconds try_for)
      : client_(address),
        account_(std::move(account)),
        root_(std::move(root)),
        shown_(std::move(shown)),
        try_for_(try_for) {}

  HttpClient client_;
  std::string account_;
  std::string root_;  // of the path, before container and blob
  std::string shown_;
  std::chrono::milliseconds try_for_;
};

}  // namespace

Result<std::unique_ptr<OncePutter>> make_azure_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for) {
  return AzurePutter::make(store, shown, try_for);
}

}  // namespace evergrove::runtime
