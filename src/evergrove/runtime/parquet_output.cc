// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/parquet_output.h"

#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <parquet/arrow/writer.h>

#include "evergrove/runtime/durable_file.h"

namespace evergrove::runtime {
namespace {

// Lets Arrow write to an UnfinishedFile, and remembers how that failed.
class UnfinishedStream final : public arrow::io::OutputStream {
 public:
  explicit UnfinishedStream(UnfinishedFile file) : file_(std::move(file)) {}

  using arrow::io::OutputStream::Write;
  arrow::Status Write(const void* data, int64_t size) override {
    if (failure_.ok()) {
      failure_ = file_.write({static_cast<const char*>(data), static_cast<size_t>(size)});
    }
    if (!failure_.ok()) return arrow::Status::IOError(failure_.message());
    position_ += size;
    return arrow::Status::OK();
  }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }

  const Status& failure() const { return failure_; }
  Status publish() { return file_.publish(); }

 private:
  UnfinishedFile file_;
  Status failure_;
  int64_t position_ = 0;
  bool closed_ = false;
};

class FileOutput final : public ParquetOutput {
 public:
  FileOutput(std::string path, std::shared_ptr<UnfinishedStream> stream)
      : path_(std::move(path)), stream_(std::move(stream)) {}

  Status open(const arrow::Schema& schema, const ParquetOptions& options) {
    parquet::WriterProperties::Builder properties;
    properties.compression(parquet::Compression::SNAPPY)
        ->max_row_group_length(options.row_group_rows)
        ->created_by("evergrove");
    for (const std::string& name : options.plain_columns) properties.disable_dictionary(name);
    // Keeps the Arrow types that Parquet has no word for, such as dictionaries and time zones.
    const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
    auto writer = parquet::arrow::FileWriter::Open(schema, arrow::default_memory_pool(), stream_,
                                                   properties.build(), arrow_properties);
    if (!writer.ok()) return failure(writer.status());
    writer_ = std::move(writer).ValueUnsafe();
    return {};
  }

  Status write(const arrow::RecordBatch& batch) override {
    return failure(writer_->WriteRecordBatch(batch));
  }

  Status publish() override {
    EVERGROVE_RETURN_IF_ERROR(failure(writer_->Close()));
    return stream_->publish();
  }

 private:
  Status failure(const arrow::Status& status) const {
    if (status.ok()) return {};
    if (!stream_->failure().ok()) return stream_->failure();
    if (status.IsNotImplemented()) {
      return unsupported("A kept column has a type that Parquet cannot hold; do not keep it",
                         {{"path", path_}, {"reason", status.message()}});
    }
    return storage_error("The Parquet file could not be written",
                         {{"path", path_}, {"reason", status.ToString()}});
  }

  std::string path_;
  std::shared_ptr<UnfinishedStream> stream_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

}  // namespace

Result<std::unique_ptr<ParquetOutput>> ParquetOutput::create(const std::string& path,
                                                             std::shared_ptr<arrow::Schema> schema,
                                                             const ParquetOptions& options) {
  EVERGROVE_ASSIGN_OR_RETURN(UnfinishedFile file, UnfinishedFile::create(path));
  auto output =
      std::make_unique<FileOutput>(path, std::make_shared<UnfinishedStream>(std::move(file)));
  EVERGROVE_RETURN_IF_ERROR(output->open(*schema, options));
  return std::unique_ptr<ParquetOutput>(std::move(output));
}

}  // namespace evergrove::runtime
