// CsvSource: rows of CSV files.
//
// open_csv() reads all of every file once, in parallel: types come from all values (csv_types.h),
// and every broken line is found before training starts. read() then parses one piece of a file
// again and converts the columns asked for. Memory holds where pieces begin, never the table; a
// gzip file, which cannot be entered in the middle, is unpacked into a temporary file without a
// name. Files must have the same columns by name; their order, delimiters and newlines may differ.
//
//   EVERGROVE_ASSIGN_OR_RETURN(auto rows, open_csv({{"a.csv", file}}, options));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "evergrove/source/open.h"

namespace arrow::io {
class RandomAccessFile;
}  // namespace arrow::io

namespace evergrove::source {

struct CsvFile {
  std::string path;  // for messages and the manifest
  std::shared_ptr<arrow::io::RandomAccessFile> file;
  bool gzip = false;
};

// How files are cut; never part of a result. 0: by the size of the data.
struct CsvCut {
  size_t piece_bytes = 0;
  size_t record_bytes_max = size_t{256} << 20;  // a longer record is refused
};

Result<std::shared_ptr<table::RowSource>> open_csv(std::vector<CsvFile> files,
                                                   const OpenOptions& options, CsvCut cut = {});

}  // namespace evergrove::source
