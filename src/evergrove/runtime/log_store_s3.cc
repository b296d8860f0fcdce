// S3: PUT /bucket/key with If-None-Match: *, signed with AWS Signature Version 4.
//
// The signature is HMAC-SHA256 of the request in canonical form, with a key that is derived from
// the secret, the day, the region and the service:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
// An answer of 412 says that the object exists; 409 that another put of it is under way.
// SPDX-License-Identifier: Apache-2.0
#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/s3fs.h>
#include <dlfcn.h>

#include <cstdlib>

#include "evergrove/runtime/aws_signature.h"
#include "evergrove/runtime/log_store_http.h"
#include "evergrove/runtime/log_store_put.h"
#include "evergrove/runtime/signing.h"

namespace evergrove::runtime {
namespace {

// Arrow's S3 client is a module that is loaded when it is first needed, so nothing of it can be
// linked; it is asked by the names that its functions have in the module.
class S3Module {
 public:
  static Result<S3Module> of(const arrow::fs::FileSystem& store) {
    // The table of virtual functions lies in the module that has the class.
    Dl_info where = {};
    const void* virtual_functions = *reinterpret_cast<void* const*>(&store);
    S3Module module;
    if (dladdr(virtual_functions, &where) != 0) {
      void* handle = dlopen(where.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
      if (handle != nullptr) {
        module.find(handle, "_ZNK5arrow2fs12S3FileSystem7optionsEv", module.options);
        module.find(handle, "_ZNK5arrow2fs12S3FileSystem6regionB5cxx11Ev", module.region);
        module.find(handle, "_ZNK5arrow2fs9S3Options12GetAccessKeyB5cxx11Ev", module.access_key);
        module.find(handle, "_ZNK5arrow2fs9S3Options12GetSecretKeyB5cxx11Ev", module.secret_key);
        module.find(handle, "_ZNK5arrow2fs9S3Options15GetSessionTokenB5cxx11Ev", module.token);
        dlclose(handle);  // it stays loaded, for the store lives
      }
    }
    if (module.options == nullptr || module.region == nullptr || module.access_key == nullptr ||
        module.secret_key == nullptr || module.token == nullptr) {
      return unsupported(
          "This version of pyarrow does not say who it is to S3; use the one that Evergrove was "
          "built with",
          {{"module", where.dli_fname == nullptr ? "?" : where.dli_fname}});
    }
    return module;
  }

  arrow::fs::S3Options (*options)(const arrow::fs::S3FileSystem*) = nullptr;
  std::string (*region)(const arrow::fs::S3FileSystem*) = nullptr;
  std::string (*access_key)(const arrow::fs::S3Options*) = nullptr;
  std::string (*secret_key)(const arrow::fs::S3Options*) = nullptr;
  std::string (*token)(const arrow::fs::S3Options*) = nullptr;

 private:
  template <typename Function>
  void find(void* handle, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
  }
};

std::string text_of(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

class S3Putter : public OncePutter {
 public:
  static Result<std::unique_ptr<OncePutter>> make(
      const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
      std::chrono::milliseconds try_for) {
    std::unique_ptr<S3Putter> putter(new S3Putter(store, shown, try_for));
    EVERGROVE_ASSIGN_OR_RETURN(putter->module_, S3Module::of(*store));
    const auto* s3 = static_cast<const arrow::fs::S3FileSystem*>(store.get());
    putter->options_ = std::make_unique<arrow::fs::S3Options>(putter->module_.options(s3));
    putter->region_ = putter->module_.region(s3);
    if (putter->region_.empty()) putter->region_ = "us-east-1";
    EVERGROVE_RETURN_IF_ERROR(putter->find_address());
    return std::unique_ptr<OncePutter>(std::move(putter));
  }

  PutTry put(const std::string& place, std::string_view bytes) override {
    HttpClient& client = client_of(place);
    const std::string_view key = std::string_view(place).substr(bucket_of(place).size());
    HttpRequest request;
    request.method = "PUT";
    request.target = escaped_path(is_virtual_ ? key : "/" + place);
    request.headers = {{"If-None-Match", "*"}, {"Content-Type", "application/octet-stream"}};
    request.body = bytes;
    const AwsCredentials credentials = {.access_key = module_.access_key(options_.get()),
                                        .secret_key = module_.secret_key(options_.get()),
                                        .session_token = module_.token(options_.get())};
    if (credentials.access_key.empty()) {
      return {PutTry::refused,
              storage_error("There are no credentials for S3; set AWS_ACCESS_KEY_ID and "
                            "AWS_SECRET_ACCESS_KEY, or a profile",
                            {{"log", shown_}})};
    }
    sign(request, client.address().authority(), region_, credentials, std::time(nullptr));
    const Result<HttpAnswer> answer = client.send(request, try_for_);
    if (!answer.ok()) return outcome_of_silence(answer.status(), shown_);
    if (answer->code == 412) return {PutTry::exists, {}};
    return outcome_of_put(answer->code, between(answer->body, "<Code>", "</Code>"), shown_);
  }

 private:
  S3Putter(std::shared_ptr<arrow::fs::FileSystem> store, std::string shown,
           std::chrono::milliseconds try_for)
      : store_(std::move(store)), shown_(std::move(shown)), try_for_(try_for) {}

  static std::string_view bucket_of(std::string_view place) {
    return place.substr(0, place.find('/'));
  }

  // A server of one's own is asked with the bucket in the path, AWS with the bucket as a host; but
  // TLS certificates do not fit bucket names with dots.
  Status find_address() {
    std::string endpoint = options_->endpoint_override;
    if (endpoint.empty()) endpoint = text_of("AWS_ENDPOINT_URL_S3");
    if (endpoint.empty()) endpoint = text_of("AWS_ENDPOINT_URL");
    is_aws_ = endpoint.empty();
    if (is_aws_) {
      endpoint =
          "s3." + region_ + (region_.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com");
    }
    EVERGROVE_ASSIGN_OR_RETURN(address_, parse_http_address(endpoint, options_->scheme));
    return {};
  }

  HttpClient& client_of(std::string_view place) {
    std::lock_guard lock(mutex_);
    if (client_ == nullptr) {
      const std::string bucket(bucket_of(place));
      is_virtual_ =
          (is_aws_ && bucket.find('.') == std::string::npos) || options_->force_virtual_addressing;
      HttpAddress address = address_;
      if (is_virtual_) address.host = bucket + "." + address.host;
      client_ = std::make_unique<HttpClient>(address);
    }
    return *client_;
  }

  std::shared_ptr<arrow::fs::FileSystem> store_;
  std::string shown_;
  std::chrono::milliseconds try_for_;
  S3Module module_;
  std::unique_ptr<arrow::fs::S3Options> options_;
  std::string region_;
  HttpAddress address_;
  bool is_aws_ = false;
  std::mutex mutex_;
  bool is_virtual_ = false;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace

Result<std::unique_ptr<OncePutter>> make_s3_putter(
    const std::shared_ptr<arrow::fs::FileSystem>& store, const std::string& shown,
    std::chrono::milliseconds try_for) {
  return S3Putter::make(store, shown, try_for);
}

}  // namespace evergrove::runtime
