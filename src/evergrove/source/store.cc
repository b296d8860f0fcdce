// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/store.h"

#include <arrow/api.h>
#include <arrow/filesystem/azurefs.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/localfs.h>
#include <arrow/util/config.h>
#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <vector>

#include "evergrove/source/data_file.h"

namespace evergrove::source {
namespace {

// scheme://user@host/path?query; views into the URL.
struct UrlParts {
  std::string_view scheme;
  std::string_view user;  // without @
  std::string_view host;
  std::string_view path;  // with its first slash
  std::string_view query;
};

UrlParts split_url(std::string_view url) {
  UrlParts parts;
  const size_t scheme_end = url.find("://");
  parts.scheme = url.substr(0, scheme_end);
  url.remove_prefix(scheme_end + 3);
  const size_t query = url.find('?');
  if (query != std::string_view::npos) {
    parts.query = url.substr(query + 1);
    url = url.substr(0, query);
  }
  const size_t slash = std::min(url.find('/'), url.size());
  parts.path = url.substr(slash);
  std::string_view authority = url.substr(0, slash);
  // A secret key may hold a slash that was not escaped; up to the last @ it is still the user's.
  const size_t at = url.rfind('@');
  if (at != std::string_view::npos && at > slash && authority.find(':') != std::string_view::npos) {
    authority = url.substr(0, std::min(url.find('/', at), url.size()));
    parts.path = url.substr(authority.size());
  }
  const size_t user_end = authority.rfind('@');
  if (user_end != std::string_view::npos) {
    parts.user = authority.substr(0, user_end);
    authority.remove_prefix(user_end + 1);
  }
  parts.host = authority;
  return parts;
}

// Arrow refuses s3://bucket, and takes s3://bucket/.
std::string with_root(const std::string& url) {
  const UrlParts parts = split_url(url);
  if (!parts.path.empty()) return url;
  std::string result = url;
  const size_t host_end = static_cast<size_t>(parts.host.data() - url.data()) + parts.host.size();
  return result.insert(host_end, "/");
}

bool is_azure(std::string_view scheme) { return scheme == "abfs" || scheme == "abfss"; }

// Takes out of a store's words what the URL holds before the @ and behind the ?.
std::string without_secrets(std::string text, const UrlParts& url) {
  std::vector<std::string> secrets = {std::string(url.user)};
  const size_t colon = url.user.find(':');
  if (colon != std::string_view::npos) {
    secrets.emplace_back(url.user.substr(colon + 1));
    secrets.emplace_back(url.user.substr(0, colon));
  }
  secrets.emplace_back(url.query);
  for (std::string_view rest = url.query; !rest.empty();) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const size_t equals = rest.substr(0, end).find('=');
    const std::string_view name = rest.substr(0, std::min(equals, end));
    const bool is_harmless = name == "endpoint_override" || name == "scheme" || name == "region";
    if (equals != std::string_view::npos && !is_harmless) {
      secrets.emplace_back(rest.substr(equals + 1, end - equals - 1));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  for (const std::string& secret : secrets) {
    if (secret.size() < 3) continue;  // would tear words apart, and is none
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
      text.replace(at, secret.size(), "***");
      at += 3;
    }
  }
  return text;
}

// The S3 client is a module beside libarrow, loaded when it is first needed.
arrow::Status load_s3() {
  static std::once_flag once;
  static arrow::Status status;
  std::call_once(once, [] {
    Dl_info library = {};
    if (dladdr(reinterpret_cast<void*>(&arrow::GetBuildInfo), &library) == 0) {
      status = arrow::Status::IOError("Arrow's library was not found");
      return;
    }
    const std::string path = library.dli_fname;
    const std::string module =
        path.substr(0, path.rfind('/') + 1) + "libarrow_s3.so." ARROW_SO_VERSION;
    status = arrow::fs::LoadFileSystemFactories(module.c_str());
  });
  return status;
}

// Arrow takes an account's key from nowhere, so it comes from where Azure's own tools have it.
arrow::Result<std::shared_ptr<arrow::fs::FileSystem>> open_azure(const std::string& url) {
  std::string place;
  ARROW_ASSIGN_OR_RAISE(auto options, arrow::fs::AzureOptions::FromUri(url, &place));
  for (const char* name : {"AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"}) {
    const char* key = std::getenv(name);
    if (key == nullptr || *key == '\0') continue;
    ARROW_RETURN_NOT_OK(options.ConfigureAccountKeyCredential(key));
    break;
  }
  return arrow::fs::AzureFileSystem::Make(options);
}

arrow::Result<std::shared_ptr<arrow::fs::FileSystem>> open_store(const std::string& url,
                                                                 const UrlParts& parts) {
  if (parts.scheme == "gs" || parts.scheme == "gcs") {
    // Google's client asks for 15 minutes unless it is told otherwise.
    if (parts.query.find("retry_limit_seconds") != std::string_view::npos) {
      return arrow::fs::FileSystemFromUri(url);
    }
    return arrow::fs::FileSystemFromUri(url + (parts.query.empty() ? "?" : "&") +
                                        "retry_limit_seconds=30");
  }
  if (is_azure(parts.scheme)) return open_azure(url);
  ARROW_RETURN_NOT_OK(load_s3());
  auto store = arrow::fs::FileSystemFromUri(url);
  // The client's threads must end before its own globals go; those were made by the first use, and
  // what is registered after them runs before they go.
  static std::once_flag once;
  std::call_once(once, [] { std::atexit([] { arrow::fs::EnsureFinalized(); }); });
  return store;
}

}  // namespace

bool is_url(std::string_view path) {
  const size_t scheme_end = path.find("://");
  return scheme_end != std::string_view::npos && scheme_end > 0 &&
         path.substr(0, scheme_end).find_first_of("/*?[") == std::string_view::npos;
}

std::string without_credentials(const std::string& path) {
  if (!is_url(path)) return path;
  const UrlParts parts = split_url(path);
  std::string result = std::string(parts.scheme) + "://";
  const std::string_view container = parts.user.substr(0, parts.user.find(':'));
  if (is_azure(parts.scheme) && !container.empty()) result.append(container).append("@");
  return result.append(parts.host).append(parts.path);
}

Result<StorePlace> Stores::place_of(const std::string& asked) {
  if (!is_url(asked) || asked.starts_with("file://")) {
    const std::string place = is_url(asked) ? asked.substr(7) : asked;
    auto& local = opened_["file"];
    if (local == nullptr) local = std::make_shared<arrow::fs::LocalFileSystem>();
    return StorePlace{local, true, place, place};
  }
  const std::string path = with_root(asked);
  const UrlParts parts = split_url(path);
  const std::string shown = without_credentials(asked);
  const bool is_known = parts.scheme == "s3" || parts.scheme == "gs" || parts.scheme == "gcs" ||
                        is_azure(parts.scheme);
  if (!is_known) {
    return unsupported(
        "URLs of this kind cannot be read; use s3://, gs://, abfs:// or a local path",
        {{"path", shown}});
  }
  const auto refuse = [&](const arrow::Status& status) {
    const std::string error = brief(without_secrets(status.message(), parts));
    return status.IsIOError()
               ? storage_error(
                     "An object store cannot be reached; check its address, access and the network",
                     {{"path", shown}, {"error", error}})
               : invalid_input("A URL cannot be understood; check it",
                               {{"path", shown}, {"error", error}});
  };
  // S3 clients know their bucket's region, so each bucket gets its own.
  const std::string key = std::string(parts.scheme) + "://" + std::string(parts.user) + "@" +
                          std::string(parts.host) + "?" + std::string(parts.query);
  auto& store = opened_[key];
  if (store == nullptr) {
    auto opened = without_throwing([&] { return open_store(path, parts); });
    if (!opened.ok()) return refuse(opened.status());
    store = *std::move(opened);
  }
  auto place = without_throwing([&] { return store->PathFromUri(path); });
  if (!place.ok()) return refuse(place.status());
  while (place->ends_with('/')) place->pop_back();
  return StorePlace{store, false, *std::move(place), shown};
}

}  // namespace evergrove::source
