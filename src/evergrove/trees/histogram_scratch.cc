// The hot loop of training: one read-modify-write of a 64-bit word per (row, feature).
//
// A row's gradients are packed in one word (26 + 25 + 13 bits), which is added to the word of the
// row's value in every cell; after kPackedRows rows, before a field can overflow, the words go to
// the node's histogram: each feature of a cell that several share has the sum over the others. The
// words lie in a scratch area of the thread, with room for 256 values a cell: of eight cells the
// constant stride is part of the address, so that a cell takes two loads and a store, of which a
// processor has one a cycle (1.1 cycles were measured, 1.4 where cells are cut from wider loads).
// Rows are gathered through their indices, so their bins are prefetched some rows ahead. The
// padding of a row is added to scratch that nobody reads. 16-bit bins have no gaps between cells.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram_scratch.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "evergrove/trees/histogram_kernel.h"

namespace evergrove::trees {
namespace {

constexpr size_t kPrefetchRows = 32;
// Stride of a cell in scratch, for 8-bit bins. Not 256: cells whose rows mostly have one value
// would then add to words that differ in the upper bits of their addresses only, which a
// processor takes for one word until it knows better, and waits (4 to 6 times as long with 2 to 16
// bins).
constexpr size_t kByteStride = 264;

// The rows to add, and the gradient of each.
template <typename Gradient>
struct ScatteredRows {
  const TreeRow* rows;
  const Gradient* gradients;
  size_t row(size_t i) const { return rows[i].row; }
  Gradient gradient(size_t i) const {
    if constexpr (std::is_same_v<Gradient, NarrowGradient>) {
      return rows[i].gradient;
    } else {
      return gradients[rows[i].row];
    }
  }
  void prefetch_gradient(size_t i) const {
    if constexpr (!std::is_same_v<Gradient, NarrowGradient>) {
      __builtin_prefetch(&gradients[rows[i].row]);
    }
  }
};
template <typename Gradient>
struct ConsecutiveRows {
  size_t first;
  const Gradient* gradients;
  size_t row(size_t i) const { return first + i; }
  Gradient gradient(size_t i) const { return gradients[first + i]; }
  void prefetch_gradient(size_t) const {}
};

// What a row adds to each of its bins. Values, not references, are captured all the way down:
// a store through a pointer must not make the compiler read them again.
struct NarrowAdder {
  uint64_t* words;
  uint64_t word;
  NarrowAdder(uint64_t* to, NarrowGradient gradient) : words(to), word(pack(gradient)) {}
  void operator()(size_t bin) const { words[bin] += word; }
  void move(size_t bins) { words += bins; }
};
// Wide gradients go to pairs of words: the sum of g, and h in the upper 44 bits over the count.
struct WideAdder {
  uint64_t* words;
  uint64_t g, h_count;
  WideAdder(uint64_t* to, WideGradient gradient)
      : words(to),
        g(static_cast<uint64_t>(int64_t{gradient.g})),
        h_count((static_cast<uint64_t>(gradient.h) << 20) + 1) {}
  void operator()(size_t bin) const {
    words[2 * bin] += g;
    words[2 * bin + 1] += h_count;
  }
  void move(size_t bins) { words += 2 * bins; }
};

// Of bytes: words move along, so that a cell's place among four or eight is part of the address.
template <typename Bin, typename Adder>
[[gnu::always_inline]] inline void add_row(const Bin* bins, const uint32_t* starts,
                                           size_t cell_count, Adder add) {
  size_t f = 0;
  if constexpr (sizeof(Bin) == 1) {
    for (; f + 8 <= cell_count; f += 8) {
      for (size_t i = 0; i < 8; ++i) add(i * kByteStride + bins[f + i]);
      add.move(8 * kByteStride);
    }
    if (f < cell_count) {
      for (size_t i = 0; i < 4; ++i) add(i * kByteStride + bins[f + i]);
    }
  } else {
    for (; f < cell_count; f += 4) {
      for (size_t i = f; i < f + 4; ++i) add(starts[i] + bins[i]);
    }
  }
}

template <typename Bin, typename Adder>
[[gnu::always_inline]] inline void add_some(const Bin* bins, const uint32_t* starts,
                                            const uint32_t* cells, size_t cell_count,
                                            const Adder add) {
  for (size_t i = 0; i < cell_count; ++i) add(starts[i] + bins[cells[i]]);
}

// A row's entries of sparse features.
struct Entries {
  const uint32_t* row_starts;
  const uint32_t* entries;
  template <typename Adder>
  [[gnu::always_inline]] void add_row(size_t row, const Adder add) const {
    const uint32_t* const end = entries + row_starts[row + 1];
    for (const uint32_t* entry = entries + row_starts[row]; entry != end; ++entry) add(*entry);
  }
  // To be called twice a row, some rows ahead and fewer.
  void prefetch_start(size_t row) const { __builtin_prefetch(&row_starts[row]); }
  void prefetch(size_t row) const {
    const uint32_t* const first = entries + row_starts[row];
    __builtin_prefetch(first);
    __builtin_prefetch(first + 16);
  }
};

template <typename Bin, typename Adder, bool kAll, bool kSparse, typename Rows>
void add_rows(const HistogramInput& input, Scratch& scratch, const Rows rows, size_t count) {
  const Bin* bins = input.bins->rows<Bin>();
  const size_t stride = input.bins->row_stride();
  const size_t last_cell = stride > 0 ? stride - 1 : 0;  // all may be sparse
  const uint32_t* starts = scratch.starts.data();
  const uint32_t* cells = scratch.cells.data();
  const size_t cell_count = scratch.starts.size();
  uint64_t* words = scratch.words.data();
  const bins::SparseBins& sparse = input.bins->sparse();
  const Entries entries{sparse.row_starts.data(), sparse.entries.data()};
  const size_t total = scratch.total;
  uint64_t* const entry_words = scratch.entries;
  const auto add = [=](size_t i) __attribute__((always_inline)) {
    const size_t row = rows.row(i);
    const Adder adder(words, rows.gradient(i));
    if constexpr (kAll) {
      add_row(bins + row * stride, starts, cell_count, adder);
    } else {
      add_some(bins + row * stride, starts, cells, cell_count, adder);
    }
    if constexpr (kSparse) {
      adder(total);
      entries.add_row(row, Adder(entry_words, rows.gradient(i)));
    }
  };
  const size_t ahead = count > kPrefetchRows ? count - kPrefetchRows : 0;
  size_t i = 0;
  for (; i < ahead; ++i) {
    const size_t next = rows.row(i + kPrefetchRows);
    __builtin_prefetch(bins + next * stride);
    __builtin_prefetch(bins + next * stride + last_cell);
    rows.prefetch_gradient(i + kPrefetchRows);
    if constexpr (kSparse) {
      entries.prefetch_start(next);
      entries.prefetch(rows.row(i + kPrefetchRows / 4));
    }
    add(i);
  }
  for (; i < count; ++i) add(i);
}

template <typename Bin, typename Adder, typename Rows>
void add_to_scratch(const HistogramInput& input, Scratch& scratch, const Rows rows, size_t count) {
  const auto add = [&]<bool kSparse>() {
    scratch.is_all ? add_rows<Bin, Adder, true, kSparse>(input, scratch, rows, count)
                   : add_rows<Bin, Adder, false, kSparse>(input, scratch, rows, count);
  };
  input.bins->sparse().empty() ? add.template operator()<false>() : add.template operator()<true>();
}

// Adds rows [first, first + count) of the part.
template <typename Bin>
void add_part_to_scratch(const HistogramPart& part, Scratch& scratch, size_t first, size_t count) {
  const auto add = [&]<typename Adder, typename Gradient>(const Gradient* gradients) {
    if (part.all_rows) {
      const ConsecutiveRows<Gradient> rows{first, gradients};
      add_to_scratch<Bin, Adder>(part.input, scratch, rows, count);
    } else {
      const ScatteredRows<Gradient> rows{part.rows.data() + first, gradients};
      add_to_scratch<Bin, Adder>(part.input, scratch, rows, count);
    }
  };
  const Gradients& gradients = *part.input.gradients;
  if (gradients.wide) {
    add.template operator()<WideAdder>(gradients.wide_pairs.data());
  } else {
    add.template operator()<NarrowAdder>(gradients.narrow.data());
  }
}

// Of the words of a cell's values, of which the first digit counts by one: what each value of that
// digit has, and, in their place, the words of the other digits' values. Returns their number.
size_t take_first_digit(uint64_t* words, size_t value_count, size_t digit_count, size_t value_words,
                        uint64_t* by_digit) {
  std::fill_n(by_digit, digit_count * value_words, 0);
  const size_t rest_count = value_count / digit_count;
  for (size_t value = 0; value < rest_count; ++value) {
    for (size_t word = 0; word < value_words; ++word) {
      uint64_t rest = 0;
      for (size_t digit = 0; digit < digit_count; ++digit) {
        const uint64_t here = words[(value * digit_count + digit) * value_words + word];
        by_digit[digit * value_words + word] += here;
        rest += here;
      }
      words[value * value_words + word] = rest;
    }
  }
  return rest_count;
}

// Moves a feature's words to its bins, which begin at offset, and makes the words 0.
void move_words(uint64_t* words, size_t value_words, size_t offset, size_t bin_count,
                std::span<const HistogramPiece> pieces) {
  size_t begin = 0;
  const HistogramPiece* piece = pieces.data();
  for (; piece->bin_end <= offset; ++piece) begin = piece->bin_end;
  const BinSums to = piece->to.part(offset - begin, bin_count);
  if (value_words == 1) {
    move_to(words, to, piece->is_unset);
  } else {
    add_pairs(words, to);
    std::fill_n(words, bin_count * value_words, 0);
  }
}

// Moves the sums of a shared cell's features. words: of the cell's values; altered.
void flush_shared(const HistogramInput& input, std::span<const bins::RowLayout::Digit> digits,
                  size_t value_count, size_t value_words, uint64_t* words,
                  std::span<const HistogramPiece> pieces) {
  const auto offsets = input.bins->histogram_offsets();
  uint64_t by_digit[2 * kByteStride];
  uint64_t by_bin[2 * bins::kSharedBinsMax];
  for (const bins::RowLayout::Digit& digit : digits) {
    value_count = take_first_digit(words, value_count, digit.count, value_words, by_digit);
    uint64_t total[2] = {};
    for (size_t i = 0; i < digit.count * value_words; ++i) total[i % value_words] += by_digit[i];
    for (const auto& member : digit.members) {
      const uint32_t feature = member.feature;
      if (!is_asked_for(input, feature)) continue;
      const size_t bin_count = input.bins->bin_count(feature);
      std::fill_n(by_bin, bin_count * value_words, 0);
      for (size_t word = 0; word < value_words; ++word) {
        uint64_t usual = total[word];
        for (size_t i = 0; i < member.other_bins.size(); ++i) {
          const uint64_t other = by_digit[(member.start + i) * value_words + word];
          by_bin[member.other_bins[i] * value_words + word] = other;
          usual -= other;
        }
        by_bin[member.usual_bin * value_words + word] = usual;
      }
      move_words(by_bin, value_words, offsets[feature], bin_count, pieces);
    }
  }
}

}  // namespace

Scratch& prepare_scratch(const HistogramInput& input) {
  thread_local Scratch scratch;
  const bins::RowLayout& layout = input.bins->layout();
  const bool bytes = input.bins->bin_bytes() == 1;
  scratch.value_words = input.gradients->wide ? 2 : 1;
  scratch.is_wanted.assign(layout.cell_count(), 0);
  for (uint32_t feature : input.features) {
    const uint32_t cell = layout.cell(feature);
    if (cell != bins::RowLayout::kNoCell) scratch.is_wanted[cell] = 1;
  }
  scratch.cells.clear();
  for (uint32_t cell = 0; cell < layout.cell_count(); ++cell) {
    if (scratch.is_wanted[cell] != 0) scratch.cells.push_back(cell);
  }
  scratch.is_all = scratch.cells.size() == layout.cell_count();
  scratch.starts.clear();
  uint32_t next = 0;
  for (uint32_t cell : scratch.cells) {
    scratch.starts.push_back(next);
    next += bytes ? kByteStride : layout.value_count(cell);
  }
  while (scratch.is_all && scratch.starts.size() % 4 != 0) {  // for the padding of rows
    scratch.starts.push_back(next);
    next += bytes ? kByteStride : 1;
  }
  scratch.total = next;
  const size_t value_count = next + 1 + input.bins->sparse().value_count;
  if (scratch.words.size() < value_count * scratch.value_words) {
    scratch.words.resize(value_count * scratch.value_words, 0);
  }
  scratch.entries = scratch.words.data() + (scratch.total + 1) * scratch.value_words;
  return scratch;
}

void add_to_scratch(const HistogramPart& part, Scratch& scratch, size_t first, size_t count) {
  part.input.bins->bin_bytes() == 1 ? add_part_to_scratch<uint8_t>(part, scratch, first, count)
                                    : add_part_to_scratch<uint16_t>(part, scratch, first, count);
}

bool is_asked_for(const HistogramInput& input, uint32_t feature) {
  if (input.features.size() == input.bins->feature_count()) return true;
  return std::binary_search(input.features.begin(), input.features.end(), feature);
}

bool may_set_cells(const HistogramInput& input) {
  return !input.gradients->wide && input.bins->sparse().empty() &&
         input.features.size() == input.bins->feature_count();
}

void flush_cells(const HistogramInput& input, Scratch& scratch, Histogram& to, bool is_unset) {
  const size_t bin_count = to.bin_count();
  const HistogramPiece whole{bin_count, to.sums(0, bin_count), is_unset};
  flush_cells(input, scratch, {&whole, 1});
}

void flush_cells(const HistogramInput& input, Scratch& scratch,
                 std::span<const HistogramPiece> pieces) {
  const auto offsets = input.bins->histogram_offsets();
  const bins::RowLayout& layout = input.bins->layout();
  const size_t value_words = scratch.value_words;
  for (size_t i = 0; i < scratch.cells.size(); ++i) {
    uint64_t* const words = scratch.words.data() + scratch.starts[i] * value_words;
    const uint32_t cell = scratch.cells[i];
    const size_t value_count = layout.value_count(cell);
    if (layout.is_shared(cell)) {
      flush_shared(input, layout.digits(cell), value_count, value_words, words, pieces);
      std::fill_n(words, value_count * value_words, 0);
    } else {
      move_words(words, value_words, offsets[layout.feature(cell)], value_count, pieces);
    }
  }
  // What the padding of rows was added to, in the first value of each spare cell.
  for (size_t i = scratch.cells.size(); i < scratch.starts.size(); ++i) {
    std::fill_n(scratch.words.data() + scratch.starts[i] * value_words, value_words, 0);
  }
}

void flush_sparse(const HistogramInput& input, Scratch& scratch, Histogram& to) {
  const bins::SparseBins& sparse = input.bins->sparse();
  const auto offsets = input.bins->histogram_offsets();
  const size_t value_words = scratch.value_words;
  uint64_t* const total = scratch.words.data() + scratch.total * value_words;
  for (const bins::SparseBins::Feature& feature : sparse.features) {
    if (!is_asked_for(input, feature.feature)) continue;
    uint64_t* const words = total + (1 + feature.start) * value_words;
    for (size_t word = 0; word < value_words; ++word) {
      uint64_t usual = total[word];
      for (size_t bin = 0; bin < feature.bin_count; ++bin) usual -= words[bin * value_words + word];
      words[feature.usual_bin * value_words + word] = usual;
    }
    const BinSums bins = to.sums(offsets[feature.feature], feature.bin_count);
    value_words == 1 ? add_to({.words = words, .size = bins.size}, bins) : add_pairs(words, bins);
  }
  std::fill_n(total, (1 + sparse.value_count) * value_words, 0);
}

}  // namespace evergrove::trees
