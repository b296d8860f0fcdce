// PartReader: reads parts of the data one after the other, in a thread of its own.
//
//   PartReader reader(open_data(description), threads, [&](NumberedFacts facts) { ... });
//   reader.read(request);   // the callback follows, on the reader's thread
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "evergrove/runtime/part_messages.h"

namespace evergrove::runtime {

class PartReader {
 public:
  using Callback = std::function<void(NumberedFacts facts)>;

  // A spec that could not be opened is the answer to every request.
  PartReader(Result<train::DataSpec> spec, int threads, Callback callback);
  // Waits for the part at hand.
  ~PartReader();
  PartReader(const PartReader&) = delete;
  PartReader& operator=(const PartReader&) = delete;

  void read(NumberedRequest request);
  // Drops what has not been begun.
  void forget();

 private:
  void run();

  Result<train::DataSpec> spec_;
  int threads_;
  Callback callback_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<NumberedRequest> requests_;
  bool is_closing_ = false;
  std::thread thread_;
};

}  // namespace evergrove::runtime
