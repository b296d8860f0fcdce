// from_stream(): Arrow data of another library in this process, through the C stream interface.
// SPDX-License-Identifier: Apache-2.0
#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/util/align_util.h>

#include "evergrove/source/batch_source.h"
#include "evergrove/source/open.h"

namespace evergrove::source {
namespace {

Status stream_status(const arrow::Status& status) {
  return invalid_input("An Arrow stream failed; make it anew",
                       {{"error", brief(status.message())}});
}

}  // namespace

Result<std::shared_ptr<table::RowSource>> from_stream(ArrowArrayStream* stream,
                                                      const OpenOptions& options) {
  const auto reader = arrow::ImportRecordBatchReader(stream);
  if (!reader.ok()) return stream_status(reader.status());
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  while (true) {
    auto batch = (*reader)->Next();
    if (!batch.ok()) return stream_status(batch.status());
    if (*batch == nullptr) break;
    if ((*batch)->num_rows() == 0) continue;
    // Others may hand out arrays that begin anywhere; only those are copied.
    auto aligned = arrow::util::EnsureAlignment(*std::move(batch), arrow::util::kValueAlignment,
                                                arrow::default_memory_pool());
    if (!aligned.ok()) return stream_status(aligned.status());
    const arrow::Status valid = (*aligned)->Validate();
    if (!valid.ok()) return stream_status(valid);
    batches.push_back(*std::move(aligned));
  }
  std::vector<std::unique_ptr<BatchSupply>> supplies;
  supplies.push_back(std::make_unique<MemoryBatches>((*reader)->schema(), std::move(batches),
                                                     /*is_valid=*/true));
  return make_batch_source(std::move(supplies), {}, options);
}

}  // namespace evergrove::source
