// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/ipc_source.h"

#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/reader.h>

#include <algorithm>
#include <numeric>

#include "evergrove/source/batch_source.h"
#include "evergrove/source/reader_pool.h"

namespace evergrove::source {
namespace {

using FileReader = std::shared_ptr<arrow::ipc::RecordBatchFileReader>;

arrow::ipc::IpcReadOptions read_options(std::vector<int> fields) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  options.included_fields = std::move(fields);
  options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  return options;
}

Status ipc_status(const arrow::Status& status, const DataFile& file) {
  const Status plain = file_status(status, file);
  if (plain.kind() != StatusKind::corrupt) return plain;
  return corrupt("An Arrow file is not complete or damaged; write it anew",
                 {{"file", file.path}, {"error", brief(status.message())}});
}

class IpcFileBatches final : public BatchSupply {
 public:
  static Result<std::unique_ptr<BatchSupply>> open(const DataFile& file);

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  std::span<const uint64_t> batch_rows() const override { return batch_rows_; }
  bool in_place() const override { return in_place_; }
  bool is_valid() const override { return false; }
  Result<std::shared_ptr<arrow::RecordBatch>> read(size_t batch,
                                                   const std::vector<int>& fields) const override;

 private:
  explicit IpcFileBatches(const DataFile& file) : file_(file) {}
  Result<FileReader> open_reader(const std::vector<int>& fields) const;
  Status count_rows(int batch_count);
  Status find_in_place();

  DataFile file_;
  std::shared_ptr<arrow::io::RandomAccessFile> opened_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<uint64_t> batch_rows_;
  bool in_place_ = false;
  mutable ReaderPool<std::vector<int>, FileReader> readers_{/*idle_max=*/8};
};

// Whether all buffers of the array lie in the range.
bool lies_within(const arrow::ArrayData& data, const uint8_t* begin, const uint8_t* end) {
  for (const auto& buffer : data.buffers) {
    if (buffer == nullptr || buffer->size() == 0) continue;
    if (buffer->data() < begin || buffer->data() >= end) return false;
  }
  return std::all_of(data.child_data.begin(), data.child_data.end(),
                     [&](const auto& child) { return lies_within(*child, begin, end); });
}

Result<FileReader> IpcFileBatches::open_reader(const std::vector<int>& fields) const {
  auto reader = arrow::ipc::RecordBatchFileReader::Open(opened_, read_options(fields));
  if (!reader.ok()) return ipc_status(reader.status(), file_);
  return *std::move(reader);
}

// A batch's length is in its header, which comes with one column at least: take a narrow one.
Status IpcFileBatches::count_rows(int batch_count) {
  int narrowest = 0;
  int bits_min = 1 << 30;
  for (int i = 0; i < schema_->num_fields(); ++i) {
    const int bits = schema_->field(i)->type()->bit_width();
    if (bits <= 0 || bits >= bits_min) continue;
    narrowest = i;
    bits_min = bits;
  }
  std::vector<int> fields;
  if (schema_->num_fields() > 0) fields.push_back(narrowest);
  EVERGROVE_ASSIGN_OR_RETURN(const FileReader reader, open_reader(fields));
  for (int i = 0; i < batch_count; ++i) {
    const auto batch = reader->ReadRecordBatch(i);
    if (!batch.ok()) return ipc_status(batch.status(), file_);
    const arrow::Status valid = (*batch)->Validate();
    if (!valid.ok()) return ipc_status(valid, file_);
    batch_rows_.push_back((*batch)->num_rows());
  }
  return {};
}

// Uncompressed batches that are read whole point into the mapped file. A file that is smaller than
// its values is compressed; for others the first batch tells.
Status IpcFileBatches::find_in_place() {
  if (!opened_->supports_zero_copy() || batch_rows_.empty()) return {};
  const uint64_t row_count = std::accumulate(batch_rows_.begin(), batch_rows_.end(), uint64_t{0});
  uint64_t row_bits = 0;
  for (const auto& field : schema_->fields()) row_bits += std::max(field->type()->bit_width(), 0);
  if (file_.size_bytes / std::max<uint64_t>(row_count, 1) < row_bits / 8) return {};
  const auto mapped = opened_->ReadAt(0, static_cast<int64_t>(file_.size_bytes));
  if (!mapped.ok()) return ipc_status(mapped.status(), file_);
  const uint8_t* begin = (*mapped)->data();
  EVERGROVE_ASSIGN_OR_RETURN(const FileReader reader, open_reader({}));
  const auto batch = reader->ReadRecordBatch(0);
  if (!batch.ok()) return ipc_status(batch.status(), file_);
  const arrow::ArrayDataVector& columns = (*batch)->column_data();
  in_place_ = std::all_of(columns.begin(), columns.end(), [&](const auto& column) {
    return lies_within(*column, begin, begin + file_.size_bytes);
  });
  return {};
}

Result<std::unique_ptr<BatchSupply>> IpcFileBatches::open(const DataFile& file) {
  std::unique_ptr<IpcFileBatches> batches(new IpcFileBatches(file));
  EVERGROVE_ASSIGN_OR_RETURN(batches->opened_, open_file(file, FileAccess::memory_map));
  EVERGROVE_ASSIGN_OR_RETURN(const FileReader reader, batches->open_reader({}));
  batches->schema_ = reader->schema();
  EVERGROVE_RETURN_IF_ERROR(batches->count_rows(reader->num_record_batches()));
  EVERGROVE_RETURN_IF_ERROR(batches->find_in_place());
  return std::unique_ptr<BatchSupply>(std::move(batches));
}

Result<std::shared_ptr<arrow::RecordBatch>> IpcFileBatches::read(
    size_t batch, const std::vector<int>& fields) const {
  // Arrow copies the fields that it is asked for out of the file, but maps a batch as a whole.
  const std::vector<int> asked = in_place_ ? std::vector<int>() : fields;
  FileReader reader = readers_.take(asked);
  if (reader == nullptr) {
    EVERGROVE_ASSIGN_OR_RETURN(reader, open_reader(asked));
  }
  auto read = reader->ReadRecordBatch(static_cast<int>(batch));
  if (!read.ok()) return ipc_status(read.status(), file_);
  readers_.give_back(asked, std::move(reader));
  if (static_cast<uint64_t>((*read)->num_rows()) == batch_rows_[batch]) return *std::move(read);
  return ipc_status(arrow::Status::Invalid("a batch has changed its length"), file_);
}

Result<std::unique_ptr<BatchSupply>> read_stream(const DataFile& file) {
  EVERGROVE_ASSIGN_OR_RETURN(auto opened, open_file(file, FileAccess::memory_map));
  auto reader = arrow::ipc::RecordBatchStreamReader::Open(std::move(opened), read_options({}));
  if (!reader.ok()) return ipc_status(reader.status(), file);
  auto batches = (*reader)->ToRecordBatches();
  if (!batches.ok()) return ipc_status(batches.status(), file);
  for (const auto& batch : *batches) {
    const arrow::Status valid = batch->Validate();
    if (!valid.ok()) return ipc_status(valid, file);
  }
  return std::unique_ptr<BatchSupply>(std::make_unique<MemoryBatches>(
      (*reader)->schema(), *std::move(batches), /*is_valid=*/false));
}

}  // namespace

Result<std::shared_ptr<table::RowSource>> open_ipc(std::vector<DataFile> files,
                                                   std::span<const FileFormat> formats,
                                                   const OpenOptions& options) {
  std::vector<std::unique_ptr<BatchSupply>> supplies(files.size());
  EVERGROVE_RETURN_IF_ERROR(for_each_file(files, [&](size_t i) -> Status {
    EVERGROVE_ASSIGN_OR_RETURN(supplies[i], formats[i] == FileFormat::arrow_file
                                                ? IpcFileBatches::open(files[i])
                                                : read_stream(files[i]));
    return {};
  }));
  return make_batch_source(std::move(supplies), std::move(files), options);
}

}  // namespace evergrove::source
