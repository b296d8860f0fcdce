// PartReader: reads parts of the data one after the other, in a thread of its own.
//
//   PartReader reader(open_data(description, readers), threads, [&](NumberedFacts facts) { ... });
//   reader.read(request);   // the callback follows, on the reader's thread
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <utility>

#include "evergrove/runtime/part_messages.h"
#include "evergrove/runtime/request_queue.h"

namespace evergrove::runtime {

class PartReader {
 public:
  using Callback = std::function<void(NumberedFacts facts)>;

  // A spec that could not be opened is the answer to every request.
  PartReader(Result<train::DataSpec> spec, int threads, Callback callback);
  // As forget(); waits until the part at hand is given up.
  ~PartReader();
  PartReader(const PartReader&) = delete;
  PartReader& operator=(const PartReader&) = delete;

  void read(NumberedRequest request) { requests_.push(std::move(request)); }
  // Drops what was asked for; the part at hand is given up before long. No callback follows, but
  // for one that is on its way.
  void forget() {
    ++forgotten_count_;
    requests_.drop_if([](const NumberedRequest&) { return true; });
  }

 private:
  void run();

  Result<train::DataSpec> spec_;
  int threads_;
  Callback callback_;
  std::atomic<uint64_t> forgotten_count_ = 0;
  RequestQueue<NumberedRequest> requests_;
  std::thread thread_;
};

}  // namespace evergrove::runtime
