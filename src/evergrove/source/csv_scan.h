// scan_csv(): the first pass over a CSV file, which cuts it into pieces and looks at every value.
//
// One thread cuts, behind the last whole record of each stretch of bytes; the others look through
// the pieces. Types, rows and the first fault do not depend on where the cuts fall or on threads.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "evergrove/source/csv_piece.h"
#include "evergrove/source/csv_source.h"

namespace evergrove::source {

struct CsvPiece {
  uint64_t offset = 0;
  uint64_t byte_count = 0;
  uint64_t first_line = 0;  // lines of the file before it
  uint64_t first_row = 0;   // rows of the file before it
  uint64_t row_count = 0;   // at least 1
};

struct CsvScan {
  std::vector<CsvPiece> pieces;
  std::vector<SeenKinds> kinds;  // one a field
  uint64_t row_count = 0;
  std::string fingerprint;  // of all bytes of the file, its header too
};

// Scans from body_offset, before which the file has body_line lines. Requires: cut.piece_bytes > 0.
Result<CsvScan> scan_csv(arrow::io::RandomAccessFile& file, const std::string& path,
                         const FileLayout& layout, uint64_t body_offset, uint64_t body_line,
                         CsvCut cut);

}  // namespace evergrove::source
