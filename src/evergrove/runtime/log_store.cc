// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/log_store.h"

#include <arrow/buffer.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/io/interfaces.h>

#include <algorithm>

#include "evergrove/base/hash.h"
#include "evergrove/runtime/backoff.h"
#include "evergrove/runtime/log_store_put.h"
#include "evergrove/source/data_file.h"
#include "evergrove/source/store.h"

namespace evergrove::runtime {
namespace {

constexpr int kDigits = 20;

// Reading is Arrow's part, for all stores alike; writing only if there is no object is beyond it.
class ArrowLogStore : public LogStore {
 public:
  ArrowLogStore(source::StorePlace place, std::unique_ptr<OncePutter> putter,
                LogStoreOptions options)
      : LogStore(options), place_(std::move(place)), putter_(std::move(putter)) {}

  Result<std::string> get(const std::string& name) override {
    const std::string object = place_.place + "/" + name;
    auto bytes = source::without_throwing([&]() -> arrow::Result<std::string> {
      ARROW_ASSIGN_OR_RAISE(auto file, place_.store->OpenInputFile(object));
      ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
      ARROW_ASSIGN_OR_RAISE(const auto buffer, file->ReadAt(0, size));
      return buffer->ToString();
    });
    if (bytes.ok()) return *std::move(bytes);
    return failure("read", name, bytes.status());
  }

  Result<std::vector<uint64_t>> numbers_in(const std::string& folder) override {
    arrow::fs::FileSelector selector;
    selector.base_dir = place_.place + "/" + folder;
    selector.allow_not_found = true;
    auto found = source::without_throwing([&] { return place_.store->GetFileInfo(selector); });
    if (!found.ok()) return failure("list", folder, found.status());
    std::vector<uint64_t> numbers;
    for (const arrow::fs::FileInfo& file : *found) {
      uint64_t number = 0;
      if (file.IsFile() && parse_numbered_name(file.base_name(), number)) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

  const std::string& place() const override { return place_.path; }

 protected:
  PutTry try_to_put(const std::string& name, std::string_view bytes) override {
    return putter_->put(place_.place + "/" + name, bytes);
  }

 private:
  Status failure(std::string_view what, const std::string& name,
                 const arrow::Status& status) const {
    source::DataFile file;
    file.path = place_.path + "/" + name;
    file.store = place_.store;
    const Status answer = source::file_status(status, file);
    if (answer.kind() == StatusKind::not_found) return answer;
    return storage_error("Cannot " + std::string(what) +
                             " the run log in its object store; check its address, access and "
                             "the network",
                         {{"object", file.path}, {"error", source::brief(status.message())}});
  }

  source::StorePlace place_;
  std::unique_ptr<OncePutter> putter_;
};

}  // namespace

Result<bool> LogStore::put_once(const std::string& name, std::string_view bytes) {
  // Another delay for each thread and process that failed with this one.
  const auto start = std::chrono::steady_clock::now();
  const uint64_t seed = static_cast<uint64_t>(start.time_since_epoch().count()) ^ hash_name(name);
  Backoff backoff({.seed = seed, .first = std::chrono::milliseconds(50)});
  const auto end = start + options_.retry_for;
  for (;;) {
    const PutTry tried = try_to_put(name, bytes);
    Status why = tried.why;
    if (tried.outcome == PutTry::written) return true;
    if (tried.outcome == PutTry::exists) {
      // Perhaps it was this very put, and its answer was lost.
      const Result<std::string> there = get(name);
      if (there.ok()) return *there == bytes;
      why = there.status();
    }
    if (tried.outcome == PutTry::refused) return why;
    const std::chrono::milliseconds delay = backoff.next();
    if (std::chrono::steady_clock::now() + delay > end || !pause(delay)) {
      return why.kind() == StatusKind::storage ? why : storage_error(why.message());
    }
  }
}

bool LogStore::pause(std::chrono::milliseconds delay) {
  std::unique_lock lock(mutex_);
  return !stopped_.wait_for(lock, delay, [&] { return is_stopped_; });
}

void LogStore::stop_retrying() {
  {
    std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  stopped_.notify_all();
}

bool is_object_place(std::string_view place) {
  return source::is_url(place) && !place.starts_with("file://");
}

Result<std::unique_ptr<LogStore>> open_log_store(const std::string& url, LogStoreOptions options) {
  source::Stores stores;
  EVERGROVE_ASSIGN_OR_RETURN(source::StorePlace place, stores.place_of(url));
  EVERGROVE_ASSIGN_OR_RETURN(std::unique_ptr<OncePutter> putter,
                             make_once_putter(place.store, place.path, options.try_for));
  return std::unique_ptr<LogStore>(new ArrowLogStore(std::move(place), std::move(putter), options));
}

std::string numbered_name(uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kDigits - digits.size(), '0') + digits;
}

bool parse_numbered_name(std::string_view name, uint64_t& number) {
  if (name.size() != kDigits) return false;
  number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9' || number > (UINT64_MAX - static_cast<uint64_t>(c - '0')) / 10) {
      return false;
    }
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

}  // namespace evergrove::runtime
