// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/open.h"

#include <arrow/io/interfaces.h>

#include "evergrove/source/csv_source.h"
#include "evergrove/source/file_format.h"
#include "evergrove/source/find_files.h"
#include "evergrove/source/ipc_source.h"
#include "evergrove/source/parquet_source.h"

namespace evergrove::source {
namespace {

// The format of each file. The name is enough where the first bytes would cost a round trip and
// the reader will look at them anyway.
Result<std::vector<FileFormat>> find_formats(std::span<const DataFile> files) {
  std::vector<FileFormat> formats(files.size());
  EVERGROVE_RETURN_IF_ERROR(for_each_file(files, [&](size_t i) -> Status {
    if (!files[i].is_local() && files[i].path.ends_with(".parquet")) {
      formats[i] = FileFormat::parquet;
      return {};
    }
    EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, read_first_bytes(files[i], kFormatBytes));
    EVERGROVE_ASSIGN_OR_RETURN(formats[i], detect_format(bytes, files[i].path));
    return {};
  }));
  return formats;
}

Status check_one_format(std::span<const DataFile> files, std::span<const FileFormat> formats) {
  for (size_t i = 1; i < files.size(); ++i) {
    if (format_name(formats[i]) == format_name(formats[0])) continue;
    return invalid_input("The files of a data set must be of one format; convert some of them",
                         {{files[0].path, std::string(format_name(formats[0]))},
                          {files[i].path, std::string(format_name(formats[i]))}});
  }
  return {};
}

Result<std::shared_ptr<table::RowSource>> open_csv_files(std::span<const DataFile> files,
                                                         std::span<const FileFormat> formats,
                                                         const OpenOptions& options) {
  std::vector<CsvFile> csv_files;
  for (size_t i = 0; i < files.size(); ++i) {
    // Not mapped: a copy of each piece costs little beside parsing it, memory holds the pieces at
    // hand only, and a file that is cut short meanwhile is an error and not a crash.
    EVERGROVE_ASSIGN_OR_RETURN(auto opened, open_file(files[i], FileAccess::read));
    csv_files.push_back({files[i].path, std::move(opened), formats[i] == FileFormat::csv_gzip});
  }
  return open_csv(std::move(csv_files), options);
}

}  // namespace

Result<std::shared_ptr<table::RowSource>> open(std::span<const std::string> paths,
                                               const OpenOptions& options) {
  EVERGROVE_ASSIGN_OR_RETURN(std::vector<DataFile> files, find_files(paths));
  EVERGROVE_ASSIGN_OR_RETURN(const auto formats, find_formats(files));
  EVERGROVE_RETURN_IF_ERROR(check_one_format(files, formats));
  switch (formats[0]) {
    case FileFormat::parquet:
      return open_parquet(std::move(files), options);
    case FileFormat::arrow_file:
    case FileFormat::arrow_stream:
      return open_ipc(std::move(files), formats, options);
    case FileFormat::csv:
    case FileFormat::csv_gzip:
      return open_csv_files(files, formats, options);
  }
  return internal_error("A format has no reader");
}

}  // namespace evergrove::source
