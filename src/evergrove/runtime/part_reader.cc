// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/part_reader.h"

#include "evergrove/runtime/threads.h"

namespace evergrove::runtime {

PartReader::PartReader(Result<train::DataSpec> spec, int threads, Callback callback)
    : spec_(std::move(spec)), threads_(threads), callback_(std::move(callback)) {
  thread_ = std::thread([this] { run(); });
}

PartReader::~PartReader() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void PartReader::read(NumberedRequest request) {
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
  }
  changed_.notify_one();
}

void PartReader::forget() {
  const std::lock_guard lock(mutex_);
  requests_.clear();
}

void PartReader::run() {
  const ThreadLimit threads(threads_);
  while (true) {
    NumberedRequest next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return is_closing_ || !requests_.empty(); });
      if (is_closing_) return;
      next = std::move(requests_.front());
      requests_.pop_front();
    }
    NumberedFacts facts{next.number, spec_.status()};
    if (spec_.ok()) {
      facts.facts = threads.execute([&] { return train::describe_part(*spec_, next.request); });
    }
    callback_(std::move(facts));
  }
}

}  // namespace evergrove::runtime
