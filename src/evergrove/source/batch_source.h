// Record batches as a RowSource: Arrow IPC files and streams, and what is in memory.
//
// A BatchSupply has the batches of one file or stream. Blocks are made of whole small batches in a
// row, and of slices of large ones where a slice costs nothing but itself; a large batch that must
// be decompressed to be read is a block as it is.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "evergrove/source/data_file.h"
#include "evergrove/source/file_manifest.h"
#include "evergrove/source/fingerprint.h"
#include "evergrove/source/open.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace evergrove::source {

// Read from many threads at once.
class BatchSupply {
 public:
  virtual ~BatchSupply() = default;
  virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;
  virtual std::span<const uint64_t> batch_rows() const = 0;
  // True if batches are there as they are, so that reading a part of one costs that part.
  virtual bool in_place() const = 0;
  // True if someone vouches for what the buffers hold; else it is checked before it is used.
  virtual bool is_valid() const = 0;
  // False if a batch comes whole whatever is asked for.
  virtual bool reads_single_columns() const { return true; }
  // Reads these fields of a batch; others may be there as well.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> read(
      size_t batch, const std::vector<int>& fields) const = 0;
};

// Batches that are in memory, or mapped into it.
class MemoryBatches final : public BatchSupply {
 public:
  MemoryBatches(std::shared_ptr<arrow::Schema> schema,
                std::vector<std::shared_ptr<arrow::RecordBatch>> batches, bool is_valid);

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  std::span<const uint64_t> batch_rows() const override { return batch_rows_; }
  bool in_place() const override { return true; }
  bool is_valid() const override { return is_valid_; }
  Result<std::shared_ptr<arrow::RecordBatch>> read(size_t batch,
                                                   const std::vector<int>& fields) const override;

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches_;
  std::vector<uint64_t> batch_rows_;
  bool is_valid_;
};

// The rows of the supplies one after the other. files: where each is from, for the manifest and for
// messages; none for what is in memory. fingerprint: of a file's content. Requires: at least one
// supply, as many files or none.
Result<std::shared_ptr<table::RowSource>> make_batch_source(
    std::vector<std::unique_ptr<BatchSupply>> supplies, std::vector<DataFile> files,
    const OpenOptions& options, FileManifest::Fingerprint fingerprint = fingerprint_content);

}  // namespace evergrove::source
