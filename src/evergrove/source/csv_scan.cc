// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_scan.h"

#include <arrow/buffer.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

#include "evergrove/source/content_hash.h"
#include "evergrove/source/csv_bytes.h"

namespace evergrove::source {
namespace {

struct CutPiece {
  size_t index = 0;
  uint64_t offset = 0;
  std::shared_ptr<arrow::Buffer> bytes;
  size_t byte_count = 0;       // of `bytes`, those that are the piece
  bool is_record_cut = false;  // the one record in it is too long and goes on
};

// Cuts a file from front to back. One thread at a time.
class PieceCutter {
 public:
  PieceCutter(arrow::io::RandomAccessFile& file, const std::string& path, CsvDialect dialect,
              uint64_t offset, uint64_t file_bytes, CsvCut cut)
      : file_(file),
        path_(path),
        dialect_(dialect),
        offset_(offset),
        file_bytes_(file_bytes),
        cut_(cut) {}

  // Returns the next piece; one of no bytes at the end.
  Result<CutPiece> next() {
    CutPiece piece{piece_count_, offset_, nullptr, 0, false};
    for (uint64_t window = cut_.piece_bytes; offset_ < file_bytes_; window *= 2) {
      const uint64_t rest = file_bytes_ - offset_;
      const uint64_t byte_count = std::min(window, rest);
      EVERGROVE_ASSIGN_OR_RETURN(piece.bytes, read_bytes(file_, path_, offset_, byte_count));
      const size_t end =
          byte_count == rest ? byte_count : last_record_end(text_of(*piece.bytes), dialect_).end;
      piece.is_record_cut = end == 0 && byte_count >= cut_.record_bytes_max;
      piece.byte_count = piece.is_record_cut ? byte_count : end;
      if (piece.byte_count > 0) break;
    }
    offset_ = piece.is_record_cut ? file_bytes_ : offset_ + piece.byte_count;
    ++piece_count_;
    return piece;
  }

 private:
  arrow::io::RandomAccessFile& file_;
  const std::string& path_;
  CsvDialect dialect_;
  uint64_t offset_;
  uint64_t file_bytes_;
  CsvCut cut_;
  size_t piece_count_ = 0;
};

// What is known of the pieces; they come in any order.
class Findings {
 public:
  explicit Findings(size_t field_count) : kinds_(field_count) {}

  void add(const CutPiece& cut, PieceSummary summary) {
    std::lock_guard lock(mutex_);
    if (places_.size() <= cut.index) places_.resize(cut.index + 1);
    places_[cut.index] = {{cut.offset, cut.byte_count, summary.line_count, 0, summary.row_count},
                          std::move(summary.fault)};
    for (size_t i = 0; i < kinds_.size(); ++i) kinds_[i].add(summary.kinds[i]);
  }

  // Returns the pieces that have rows, or the first fault in the order of lines.
  Result<CsvScan> finish(const std::string& path, uint64_t line) {
    CsvScan scan;
    for (Place& place : places_) {
      if (place.fault) return place.fault->to_status(path, line);
      CsvPiece piece = place.piece;
      piece.first_line = line;
      piece.first_row = scan.row_count;
      line += place.piece.first_line;
      scan.row_count += piece.row_count;
      if (piece.row_count > 0) scan.pieces.push_back(piece);
    }
    scan.kinds = std::move(kinds_);
    return scan;
  }

 private:
  struct Place {
    CsvPiece piece;  // first_line holds its number of lines until finish()
    std::optional<CsvFault> fault;
  };
  std::mutex mutex_;
  std::vector<Place> places_;
  std::vector<SeenKinds> kinds_;
};

}  // namespace

Result<CsvScan> scan_csv(arrow::io::RandomAccessFile& file, const std::string& path,
                         const FileLayout& layout, uint64_t body_offset, uint64_t body_line,
                         CsvCut cut) {
  EVERGROVE_ASSIGN_OR_RETURN(const uint64_t file_bytes, file_size(file, path));
  PieceCutter cutter(file, path, layout.dialect, body_offset, file_bytes, cut);
  Findings findings(layout.names.size());
  Status cutting;
  ContentHash hash;
  if (body_offset > 0) {
    EVERGROVE_ASSIGN_OR_RETURN(const auto head, read_bytes(file, path, 0, body_offset));
    hash.update(text_of(*head));
  }
  // After a fault no more pieces are cut; those before it are all looked through nevertheless, so
  // the first fault is found on any number of threads.
  std::atomic<bool> stop = false;
  const auto cut_next = [&](tbb::flow_control& control) -> CutPiece {
    if (!stop) {
      Result<CutPiece> piece = cutter.next();
      if (piece.ok() && piece->byte_count > 0) {
        hash.update(text_of(*piece->bytes).substr(0, piece->byte_count));
        return *std::move(piece);
      }
      cutting = piece.status();
    }
    control.stop();
    return {};
  };
  const auto look_through = [&](const CutPiece& piece) {
    const std::string_view text = text_of(*piece.bytes).substr(0, piece.byte_count);
    PieceSummary summary = summarise_piece(text, layout);
    if (piece.is_record_cut && !summary.fault) {
      summary.fault = CsvFault{"A line of the CSV file is too long; is this a CSV file?", 0,
                               "bytes at most: " + std::to_string(cut.record_bytes_max)};
    }
    if (summary.fault) stop = true;
    findings.add(piece, std::move(summary));
  };
  // Each thread has a piece at hand and one in waiting.
  const auto token_count = static_cast<size_t>(tbb::this_task_arena::max_concurrency()) * 2;
  tbb::parallel_pipeline(
      token_count, tbb::make_filter<void, CutPiece>(tbb::filter_mode::serial_in_order, cut_next) &
                       tbb::make_filter<CutPiece, void>(tbb::filter_mode::parallel, look_through));
  EVERGROVE_ASSIGN_OR_RETURN(CsvScan scan, findings.finish(path, body_line));
  EVERGROVE_RETURN_IF_ERROR(cutting);
  scan.fingerprint = hash.hex();
  return scan;
}

}  // namespace evergrove::source
