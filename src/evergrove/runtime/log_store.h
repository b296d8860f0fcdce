// LogStore: a place in an object store in which objects are written once and never changed.
//
// Promise: of an object's name the first bytes that were put stay, whoever puts others. A put is
// tried again, with growing delays and jitter, for as long as LogStoreOptions says; that is
// harmless, as the same bytes put twice are one object. Many threads may use a store at once.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto store, open_log_store("s3://bucket/run"));
//   EVERGROVE_ASSIGN_OR_RETURN(const bool is_ours, store->put_once("epochs/1", bytes));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "evergrove/base/status.h"

namespace evergrove::runtime {

struct LogStoreOptions {
  std::chrono::milliseconds try_for{10'000};    // one request, from connecting to its answer
  std::chrono::milliseconds retry_for{60'000};  // a put with all its repetitions
};

// What one try to put an object came to.
struct PutTry {
  enum Outcome : uint8_t {
    written,
    exists,   // whoever wrote it
    failed,   // and may succeed when it is tried again
    refused,  // and will be again
  };
  Outcome outcome = failed;
  Status why;  // of failed and refused
};

class LogStore {
 public:
  explicit LogStore(LogStoreOptions options) : options_(options) {}
  virtual ~LogStore() = default;

  // Writes an object unless there is one. Returns whether it is there with these bytes; false: it
  // has others, and keeps them.
  Result<bool> put_once(const std::string& name, std::string_view bytes);
  // Returns the bytes of an object; not_found if there is none.
  virtual Result<std::string> get(const std::string& name) = 0;
  // The numbers of which there are objects `folder`/<20 digits>, ascending.
  virtual Result<std::vector<uint64_t>> numbers_in(const std::string& folder) = 0;
  // For people, without credentials.
  virtual const std::string& place() const = 0;

  // Ends the repetitions of puts that are being tried, and of those to come.
  void stop_retrying();

 protected:
  virtual PutTry try_to_put(const std::string& name, std::string_view bytes) = 0;

 private:
  // Returns whether there is to be another try.
  bool pause(std::chrono::milliseconds delay);

  LogStoreOptions options_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool is_stopped_ = false;
};

// Whether a log's place is a URL of an object store, and not a folder.
bool is_object_place(std::string_view place);
// Opens the store of a URL. Refuses kinds of URLs of which the store cannot write an object only
// if there is none.
Result<std::unique_ptr<LogStore>> open_log_store(const std::string& url,
                                                 LogStoreOptions options = {});

// Names of objects and files sort by their numbers: 20 digits.
std::string numbered_name(uint64_t number);
// The number of such a name; false for other names.
bool parse_numbered_name(std::string_view name, uint64_t& number);

}  // namespace evergrove::runtime
