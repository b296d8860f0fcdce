// Any bytes as a CSV file: no crash, no memory beyond what the bytes justify; cut into pieces they
// are the same rows as in one; and every value converts to the type that was inferred for it.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "evergrove/source/csv_piece.h"

namespace {

using namespace evergrove::source;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Totals {
  uint64_t rows = 0;
  uint64_t lines = 0;
  std::vector<SeenKinds> kinds;
  bool has_fault = false;
};

// What all pieces of a text say together, cut behind the last whole record of each window.
Totals summarise_in_pieces(std::string_view text, const FileLayout& layout, size_t piece_bytes) {
  Totals totals;
  totals.kinds.resize(layout.names.size());
  for (size_t window = piece_bytes; !text.empty() && !totals.has_fault;) {
    const size_t size = std::min(window, text.size());
    const size_t end =
        size == text.size() ? size : last_record_end(text.substr(0, size), layout.dialect).end;
    if (end == 0) {
      window *= 2;
      continue;
    }
    const PieceSummary summary = summarise_piece(text.substr(0, end), layout);
    totals.rows += summary.row_count;
    totals.lines += summary.line_count;
    for (size_t i = 0; i < totals.kinds.size(); ++i) totals.kinds[i].add(summary.kinds[i]);
    totals.has_fault = summary.fault.has_value();
    text.remove_prefix(end);
    window = piece_bytes;
  }
  return totals;
}

void read_back(std::string_view body, const FileLayout& layout, const PieceSummary& summary) {
  for (const bool as_categories : {false, true}) {
    std::vector<ColumnRequest> requests;
    for (size_t i = 0; i < layout.names.size(); ++i) {
      requests.push_back({i, summary.kinds[i].type(layout.rules[i]), as_categories});
    }
    const ConvertedPiece piece = convert_piece(body, layout, requests, summary.row_count);
    require(!piece.fault);
    for (const auto& column : piece.columns) {
      require(column.f64.size() + column.codes.size() == summary.row_count);
      for (const int32_t code : column.codes) {
        require(code >= -1 && code < static_cast<int32_t>(column.dictionary.size()));
      }
    }
  }
}

}  // namespace

// The first two bytes choose the size of the pieces and the rule for the columns.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece_bytes = size_t{data[0]} + 1;
  const auto rule = static_cast<TypeRule>(data[1] % 4);
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto dialect = infer_dialect(text, 0, "fuzz");
  if (!dialect.ok()) return 0;
  const auto header = read_header(text, *dialect, "fuzz");
  if (!header.ok()) return 0;
  const FileLayout layout{*dialect, header->names,
                          std::vector<TypeRule>(header->names.size(), rule)};
  const std::string_view body = text.substr(header->body_offset);
  const PieceSummary whole = summarise_piece(body, layout);
  const Totals pieces = summarise_in_pieces(body, layout, piece_bytes);
  require(pieces.has_fault == whole.fault.has_value());
  if (whole.fault) return 0;
  require(pieces.rows == whole.row_count);
  require(pieces.lines == whole.line_count);
  for (size_t i = 0; i < layout.names.size(); ++i) {
    require(pieces.kinds[i].type(rule) == whole.kinds[i].type(rule));
  }
  read_back(body, layout, whole);
  return 0;
}
