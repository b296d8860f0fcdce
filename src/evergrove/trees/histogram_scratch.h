// Scratch: the words of a thread to which rows are added before they go to a histogram, and the
// loop that adds them. Part of histogram.cc and histogram_entries.cc, and of nothing else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/trees/histogram.h"

namespace evergrove::trees {

// The scratch words of a thread, all 0 between uses, and where each built cell starts in them.
struct Scratch {
  LargeVector<uint64_t> words;
  std::vector<uint32_t> starts;
  std::vector<uint8_t> is_wanted;  // by cell
  std::vector<uint32_t> cells;     // to build, ascending
  bool is_all = false;          // cells are all that there are, and starts has those of padding too
  size_t value_words = 1;       // words a value of a cell: 2 for wide gradients
  size_t total = 0;             // where the sum of all rows is, and the entries' values after it
  uint64_t* entries = nullptr;  // where entries are added: here, or in a histogram
};

// The calling thread's, for cells of the features that are asked for.
Scratch& prepare_scratch(const HistogramInput& input);

// Adds rows first to first + count - 1 of the part: kPackedRows at most before they are flushed.
void add_to_scratch(const HistogramPart& part, Scratch& scratch, size_t first, size_t count);

// Whether flush_cells() reaches every bin, so that it may set them.
bool may_set_cells(const HistogramInput& input);
// Moves the sums of cells from scratch to a histogram and leaves scratch 0. is_unset: the histogram
// is any yet, and becomes these. Requires: then, may_set_cells().
void flush_cells(const HistogramInput& input, Scratch& scratch, Histogram& to,
                 bool is_unset = false);
// The same to pieces, which have all bins. Requires: may_set_cells(), where one is unset.
void flush_cells(const HistogramInput& input, Scratch& scratch,
                 std::span<const HistogramPiece> pieces);
// The same of entries and of the sum of all rows: usual bins have what the others leave of it.
void flush_sparse(const HistogramInput& input, Scratch& scratch, Histogram& to);

bool is_asked_for(const HistogramInput& input, uint32_t feature);

}  // namespace evergrove::trees
