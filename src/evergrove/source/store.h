// Stores: the local disk and object stores, by the URL that people write.
//
//   s3://bucket/path   gs://bucket/path   abfs://container@account.dfs.core.windows.net/path
//
// Access is the vendor's usual one (environment, profile, machine's role; AWS_ENDPOINT_URL for
// servers of one's own) or parameters of the URL. What may be secret in a URL (everything before
// the @ but an Azure container, everything behind the ?) is for the store only: it is in no path
// and no message.
// For .cc files of this folder and of runtime.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"

namespace arrow::fs {
class FileSystem;
}

namespace evergrove::source {

// A place in a store. What is found below it has the path of the place, then what follows.
struct StorePlace {
  std::shared_ptr<arrow::fs::FileSystem> store;
  bool is_local = true;
  std::string place;  // within the store
  std::string path;   // for people: without credentials
};

bool is_url(std::string_view path);
// The URL without what may be secret; other paths as they are.
std::string without_credentials(const std::string& path);

// Opens each store once. One thread at a time.
class Stores {
 public:
  // Finds the store of a path or URL. Refuses URLs of an unknown kind.
  Result<StorePlace> place_of(const std::string& path);

 private:
  std::map<std::string, std::shared_ptr<arrow::fs::FileSystem>> opened_;  // by scheme, host, query
};

}  // namespace evergrove::source
