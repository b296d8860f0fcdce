// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/part_reader.h"

#include <optional>

#include "evergrove/runtime/threads.h"

namespace evergrove::runtime {

PartReader::PartReader(Result<train::DataSpec> spec, int threads, Callback callback)
    : spec_(std::move(spec)), threads_(threads), callback_(std::move(callback)) {
  thread_ = std::thread([this] { run(); });
}

PartReader::~PartReader() {
  forget();
  requests_.close();
  thread_.join();
}

void PartReader::run() {
  const ThreadLimit threads(threads_);
  std::optional<train::PartDescriber> describer;
  if (spec_.ok()) describer.emplace(*spec_);
  for (NumberedRequest next; requests_.take(next);) {
    const uint64_t begun_at = forgotten_count_;
    const auto is_wanted = [&] { return forgotten_count_ == begun_at; };
    NumberedFacts facts{next.number, spec_.status()};
    if (describer) {
      facts.facts = threads.execute([&] { return describer->describe(next.request, is_wanted); });
    }
    if (is_wanted()) callback_(std::move(facts));
  }
}

}  // namespace evergrove::runtime
