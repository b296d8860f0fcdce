// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/part_reader.h"

#include "evergrove/runtime/threads.h"

namespace evergrove::runtime {

PartReader::PartReader(Result<train::DataSpec> spec, int threads, Callback callback)
    : spec_(std::move(spec)), threads_(threads), callback_(std::move(callback)) {
  thread_ = std::thread([this] { run(); });
}

PartReader::~PartReader() {
  requests_.close();
  thread_.join();
}

void PartReader::run() {
  const ThreadLimit threads(threads_);
  for (NumberedRequest next; requests_.take(next);) {
    NumberedFacts facts{next.number, spec_.status()};
    if (spec_.ok()) {
      facts.facts = threads.execute([&] { return train::describe_part(*spec_, next.request); });
    }
    callback_(std::move(facts));
  }
}

}  // namespace evergrove::runtime
