// The hot loop of training: one read-modify-write of a 64-bit word per (row, feature).
//
// A row's gradients are packed in one word (26 + 25 + 13 bits), which is added to the word of the
// row's value in every cell; after kPackedRows rows, before a field can overflow, the words go to
// the node's histogram: each feature of a cell that several share has the sum over the others. The
// words lie in a scratch area of the thread, with room for 256 values a cell: a constant stride
// lets the compiler fold it into the addressing, which was measured to take a third off the loop.
// Rows are gathered through their indices, so their bins are prefetched some rows ahead. Cells are
// taken four at a time from one 32-bit load; the padding of a row is added to scratch that nobody
// reads. 16-bit bins are laid out without gaps instead. SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"

namespace evergrove::trees {
namespace {

constexpr size_t kPrefetchRows = 32;
// Rows that a task sums before it is worth a new one.
constexpr size_t kPartRows = kPackedRows;
// Stride of a cell in scratch, for 8-bit bins. Not 256: cells whose rows mostly have one value
// would then add to words that differ in the upper bits of their addresses only, which a
// processor takes for one word until it knows better, and waits (4 to 6 times as long with 2 to 16
// bins).
constexpr size_t kByteStride = 264;

// The scratch words of a thread, all 0 between uses, and where each built cell starts in them.
struct Scratch {
  std::vector<uint64_t> words;
  std::vector<uint32_t> starts;
  std::vector<uint8_t> is_wanted;  // by cell
  std::vector<uint32_t> cells;     // to build, ascending
  bool is_all = false;     // cells are all that there are, and starts has those of padding too
  size_t value_words = 1;  // words a value of a cell: 2 for wide gradients
  size_t total = 0;        // where the sum of all rows is, and the entries' values after it
  uint64_t* entries = nullptr;  // where entries are added: here, or in a histogram
};

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
};

template <typename Bin, typename Adder>
[[gnu::always_inline]] inline void add_row(const Bin* bins, const uint32_t* starts,
                                           size_t cell_count, const Adder add) {
  for (size_t f = 0; f < cell_count; f += 4) {
    if constexpr (sizeof(Bin) == 1) {
      uint32_t four;
      std::memcpy(&four, bins + f, sizeof(four));
      const size_t start = f * kByteStride;
      add(start + (four & 255));
      add(start + kByteStride + ((four >> 8) & 255));
      add(start + 2 * kByteStride + ((four >> 16) & 255));
      add(start + 3 * kByteStride + (four >> 24));
    } else {
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
void add_to_scratch(const HistogramPart& part, Scratch& scratch, size_t first, size_t count) {
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

// Adds words to a feature's bins.
void add_words(const uint64_t* from, size_t value_words, size_t offset, size_t bin_count,
               Histogram& to) {
  if (to.packed) {
    uint64_t* const words = to.words.data() + offset;
    for (size_t bin = 0; bin < bin_count; ++bin) words[bin] += from[bin];
  } else if (value_words == 1) {
    int64_t* g = to.g.data() + offset;
    int64_t* h = to.h.data() + offset;
    uint32_t* n = to.count.data() + offset;
    for (size_t bin = 0; bin < bin_count; ++bin) {
      const uint64_t word = from[bin];
      g[bin] += static_cast<int64_t>(word) >> 38;
      h[bin] += static_cast<int64_t>((word >> 13) & 0x1ffffff);
      n[bin] += static_cast<uint32_t>(word & 0x1fff);
    }
  } else {
    for (size_t bin = 0; bin < bin_count; ++bin) {
      to.g[offset + bin] += static_cast<int64_t>(from[2 * bin]);
      to.h[offset + bin] += static_cast<int64_t>(from[2 * bin + 1] >> 20);
      to.count[offset + bin] += static_cast<uint32_t>(from[2 * bin + 1] & 0xfffff);
    }
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

bool is_asked_for(const HistogramInput& input, uint32_t feature) {
  return std::binary_search(input.features.begin(), input.features.end(), feature);
}

// Adds the sums of a shared cell's features. words: of the cell's values; altered.
void flush_shared(const HistogramInput& input, std::span<const bins::RowLayout::Digit> digits,
                  size_t value_count, size_t value_words, uint64_t* words, Histogram& to) {
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
      add_words(by_bin, value_words, offsets[feature], bin_count, to);
    }
  }
}

// Adds the sums of sparse features: the usual bin has what the others leave of the sum of all rows.
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
    add_words(words, value_words, offsets[feature.feature], feature.bin_count, to);
  }
  std::fill_n(total, (1 + sparse.value_count) * value_words, 0);
}

// Moves the sums of cells from scratch to a histogram and leaves scratch 0.
void flush_cells(const HistogramInput& input, Scratch& scratch, Histogram& to) {
  const auto offsets = input.bins->histogram_offsets();
  const bins::RowLayout& layout = input.bins->layout();
  const size_t value_words = scratch.value_words;
  for (size_t i = 0; i < scratch.cells.size(); ++i) {
    uint64_t* const words = scratch.words.data() + scratch.starts[i] * value_words;
    const uint32_t cell = scratch.cells[i];
    const size_t value_count = layout.value_count(cell);
    if (layout.is_shared(cell)) {
      flush_shared(input, layout.digits(cell), value_count, value_words, words, to);
    } else {
      add_words(words, value_words, offsets[layout.feature(cell)], value_count, to);
    }
    std::fill_n(words, value_count * value_words, 0);
  }
  // What the padding of rows was added to, in the first value of each spare cell.
  for (size_t i = scratch.cells.size(); i < scratch.starts.size(); ++i) {
    std::fill_n(scratch.words.data() + scratch.starts[i] * value_words, value_words, 0);
  }
}

// Adds rows [begin, end) of the part to its histogram.
template <typename Bin>
void add_part(const HistogramPart& part, size_t begin, size_t end, Histogram& to) {
  const PhaseScope scope(Phase::histogram);
  Scratch& scratch = prepare_scratch(part.input);
  for (size_t first = begin; first < end; first += kPackedRows) {
    add_to_scratch<Bin>(part, scratch, first, std::min(kPackedRows, end - first));
    flush_cells(part.input, scratch, to);
    if (!part.input.bins->sparse().empty()) flush_sparse(part.input, scratch, to);
  }
}

// Rows with entries, which are added to a histogram itself and not by way of scratch. Where it is
// to be a wide one, most entries are packed words until the end, for so few of all rows have each
// that they cannot overflow; the others, and cells, go to a wide one from time to time.
struct AtOnce {
  std::unique_ptr<Histogram> entries;  // packed
  std::unique_ptr<Histogram> cells;    // null: packed with the entries
  Sums total;
};

// Whether it may overflow a packed word.
bool is_frequent(const bins::SparseBins::Feature& feature) {
  return feature.rows_max > kPackedRows;
}

bool may_add_at_once(std::span<const HistogramPart> parts) {
  const HistogramInput& input = parts[0].input;
  const bins::SparseBins& sparse = input.bins->sparse();
  return parts.size() == 1 && !input.gradients->wide && !sparse.empty();
}

template <typename Bin>
AtOnce add_at_once(const HistogramPart& part, size_t begin, size_t end, bool is_packed,
                   HistogramPool& pool) {
  const PhaseScope scope(Phase::histogram);
  AtOnce sums{pool.take(true), is_packed ? nullptr : pool.take(false), {}};
  Scratch& scratch = prepare_scratch(part.input);
  scratch.entries = sums.entries->words.data();
  for (size_t first = begin; first < end; first += kPackedRows) {
    add_to_scratch<Bin>(part, scratch, first, std::min(kPackedRows, end - first));
    flush_cells(part.input, scratch, is_packed ? *sums.entries : *sums.cells);
    uint64_t& word = scratch.words[scratch.total];
    sums.total = sums.total + unpack(word);
    word = 0;
    if (is_packed) continue;
    for (const bins::SparseBins::Feature& feature : part.input.bins->sparse().features) {
      if (!is_frequent(feature)) continue;
      uint64_t* const words = sums.entries->words.data() + feature.start;
      add_words(words, 1, feature.start, feature.bin_count, *sums.cells);
      std::fill_n(words, feature.bin_count, 0);
    }
  }
  return sums;
}

// A sparse feature's bins, of words that have all but the usual one.
void set_packed(const bins::SparseBins::Feature& feature, uint64_t total, uint64_t* words) {
  uint64_t usual = total;
  for (size_t bin = 0; bin < feature.bin_count; ++bin) usual -= words[bin];
  words[feature.usual_bin] = usual;
}
// to: what frequent bins have, or 0.
void set_wide(const bins::SparseBins::Feature& feature, Sums usual, const uint64_t* words,
              Histogram& to) {
  int64_t* const g = to.g.data() + feature.start;
  int64_t* const h = to.h.data() + feature.start;
  uint32_t* const count = to.count.data() + feature.start;
  for (size_t bin = 0; bin < feature.bin_count; ++bin) {
    const Sums here = unpack(words[bin]) + Sums{g[bin], h[bin], int64_t{count[bin]}};
    usual = usual - here;
    g[bin] = here.g;
    h[bin] = here.h;
    count[bin] = static_cast<uint32_t>(here.count);
  }
  g[feature.usual_bin] = usual.g;
  h[feature.usual_bin] = usual.h;
  count[feature.usual_bin] = static_cast<uint32_t>(usual.count);
}

void add_bins(const Histogram& from, size_t begin, size_t end, Histogram& to) {
  if (to.packed) {
    for (size_t bin = begin; bin < end; ++bin) to.words[bin] += from.words[bin];
    return;
  }
  for (size_t bin = begin; bin < end; ++bin) to.g[bin] += from.g[bin];
  for (size_t bin = begin; bin < end; ++bin) to.h[bin] += from.h[bin];
  for (size_t bin = begin; bin < end; ++bin) to.count[bin] += from.count[bin];
}

void clear_bins(Histogram& histogram, size_t begin, size_t bin_count) {
  if (histogram.packed) {
    std::fill_n(histogram.words.begin() + static_cast<ptrdiff_t>(begin), bin_count, 0);
    return;
  }
  for (size_t bin = begin; bin < begin + bin_count; ++bin) {
    histogram.g[bin] = 0;
    histogram.h[bin] = 0;
    histogram.count[bin] = 0;
  }
}

// Adds up parts of the rows, features [first, last), and sets the usual bins: what the others leave
// of all rows. Bins that nobody asked for become 0 again.
void add_up_features(const HistogramInput& input, std::span<const AtOnce> parts, const Sums& total,
                     size_t first, size_t last) {
  const PhaseScope scope(Phase::histogram);
  const std::span<const uint32_t> offsets = input.bins->histogram_offsets();
  const std::span<const bins::SparseBins::Feature> sparse = input.bins->sparse().features;
  const AtOnce& sums = parts[0];
  for (const AtOnce& part : parts.subspan(1)) {
    add_bins(*part.entries, offsets[first], offsets[last], *sums.entries);
  }
  auto next = std::lower_bound(sparse.begin(), sparse.end(), first,
                               [](const bins::SparseBins::Feature& feature, size_t number) {
                                 return feature.feature < number;
                               });
  for (size_t feature = first; feature < last; ++feature) {
    const bool is_sparse = next != sparse.end() && next->feature == feature;
    const bool is_asked = is_asked_for(input, static_cast<uint32_t>(feature));
    uint64_t* const words = sums.entries->words.data() + offsets[feature];
    const size_t bin_count = offsets[feature + 1] - offsets[feature];
    const bool is_split = sums.cells && (!is_sparse || is_frequent(*next));
    for (const AtOnce& part : parts.subspan(1)) {
      if (is_split) add_bins(*part.cells, offsets[feature], offsets[feature + 1], *sums.cells);
    }
    if (is_sparse && !is_asked) {
      sums.cells ? clear_bins(*sums.cells, offsets[feature], bin_count)
                 : clear_bins(*sums.entries, offsets[feature], bin_count);
    } else if (is_sparse && sums.cells) {
      set_wide(*next, total, words, *sums.cells);
    } else if (is_sparse) {
      const auto word = (static_cast<uint64_t>(total.g) << 38) +
                        (static_cast<uint64_t>(total.h) << 13) + static_cast<uint64_t>(total.count);
      set_packed(*next, word, words);
    }
    if (is_sparse) ++next;
  }
}

template <typename Bin>
std::unique_ptr<Histogram> build_at_once(const HistogramPart& part, HistogramPool& pool) {
  constexpr size_t kRowsMin = 512;
  constexpr size_t kFeatures = 64;
  const size_t row_count = part.row_count();
  const bool is_packed = row_count <= kPackedRows;
  const auto threads = static_cast<size_t>(tbb::this_task_arena::max_concurrency());
  std::vector<AtOnce> parts(std::clamp<size_t>(row_count / kRowsMin, 1, threads));
  tbb::parallel_for(size_t{0}, parts.size(), [&](size_t i) {
    parts[i] = add_at_once<Bin>(part, i * row_count / parts.size(),
                                (i + 1) * row_count / parts.size(), is_packed, pool);
  });
  Sums total;
  for (const AtOnce& each : parts) total = total + each.total;
  const size_t feature_count = part.input.bins->feature_count();
  tbb::parallel_for(size_t{0}, (feature_count + kFeatures - 1) / kFeatures, [&](size_t i) {
    add_up_features(part.input, parts, total, i * kFeatures,
                    std::min((i + 1) * kFeatures, feature_count));
  });
  std::unique_ptr<Histogram> sums = std::move(is_packed ? parts[0].entries : parts[0].cells);
  for (AtOnce& each : parts) {
    pool.give_back(std::move(each.entries));
    pool.give_back(std::move(each.cells));
  }
  return sums;
}

template <typename Bin>
std::unique_ptr<Histogram> build(std::span<const HistogramPart> parts, HistogramPool& pool) {
  size_t row_count = 0;
  for (const HistogramPart& part : parts) row_count += part.row_count();
  const bool is_packed = !parts[0].input.gradients->wide && row_count <= kPackedRows;
  if (may_add_at_once(parts)) return build_at_once<Bin>(parts[0], pool);
  std::unique_ptr<Histogram> histogram = pool.take(is_packed);
  if (histogram->packed || row_count <= 2 * kPartRows) {
    for (const HistogramPart& part : parts) {
      add_part<Bin>(part, 0, part.row_count(), *histogram);
    }
    return histogram;
  }
  struct Piece {
    const HistogramPart* part;
    size_t begin, end;
  };
  std::vector<Piece> pieces;
  for (const HistogramPart& part : parts) {
    for (size_t begin = 0; begin < part.row_count(); begin += kPartRows) {
      pieces.push_back({&part, begin, std::min(begin + kPartRows, part.row_count())});
    }
  }
  // A partial histogram a thread, for as long as the loop lasts; integer sums, so any split of the
  // rows gives the same total. The first to come adds to the whole itself, and others come only
  // where they have nothing else to do.
  std::atomic_flag is_taken;
  tbb::enumerable_thread_specific<std::unique_ptr<Histogram>> partial(
      [&] { return is_taken.test_and_set() ? pool.take(false) : nullptr; });
  tbb::parallel_for(size_t{0}, pieces.size(), [&](size_t i) {
    const Piece& piece = pieces[i];
    std::unique_ptr<Histogram>& part = partial.local();
    add_part<Bin>(*piece.part, piece.begin, piece.end, part ? *part : *histogram);
  });
  const PhaseScope scope(Phase::histogram);
  for (std::unique_ptr<Histogram>& part : partial) {
    if (!part) continue;
    for (size_t bin = 0; bin < histogram->g.size(); ++bin) {
      histogram->g[bin] += part->g[bin];
      histogram->h[bin] += part->h[bin];
      histogram->count[bin] += part->count[bin];
    }
    pool.give_back(std::move(part));
  }
  return histogram;
}

}  // namespace

std::unique_ptr<Histogram> HistogramPool::take_unset(bool packed) {
  std::unique_ptr<Histogram> histogram;
  {
    std::lock_guard lock(mutex_);
    auto& free = packed ? packed_ : wide_;
    if (!free.empty()) {
      histogram = std::move(free.back());
      free.pop_back();
    }
  }
  if (histogram) return histogram;
  histogram = std::make_unique<Histogram>();
  histogram->packed = packed;
  if (packed) {
    histogram->words.resize(bin_count_);
  } else {
    histogram->g.resize(bin_count_);
    histogram->h.resize(bin_count_);
    histogram->count.resize(bin_count_);
  }
  return histogram;
}

std::unique_ptr<Histogram> HistogramPool::take(bool packed) {
  std::unique_ptr<Histogram> histogram = take_unset(packed);
  std::fill(histogram->words.begin(), histogram->words.end(), 0);
  std::fill(histogram->g.begin(), histogram->g.end(), 0);
  std::fill(histogram->h.begin(), histogram->h.end(), 0);
  std::fill(histogram->count.begin(), histogram->count.end(), 0);
  return histogram;
}

void HistogramPool::give_back(std::unique_ptr<Histogram> histogram) {
  if (!histogram) return;
  std::lock_guard lock(mutex_);
  (histogram->packed ? packed_ : wide_).push_back(std::move(histogram));
}

std::unique_ptr<Histogram> build_histogram(const HistogramInput& input,
                                           std::span<const TreeRow> rows, bool all_rows,
                                           HistogramPool& pool) {
  const HistogramPart part{input, rows, all_rows};
  return build_histogram({&part, 1}, pool);
}

std::unique_ptr<Histogram> build_histogram(std::span<const HistogramPart> parts,
                                           HistogramPool& pool) {
  return parts[0].input.bins->bin_bytes() == 1 ? build<uint8_t>(parts, pool)
                                               : build<uint16_t>(parts, pool);
}

Subtraction::Subtraction(std::unique_ptr<Histogram> parent, const Histogram& part, size_t row_count,
                         bool narrow, HistogramPool& pool)
    : parent_(std::move(parent)), part_(part), pool_(pool) {
  CHECK(!parent_->packed || part_.packed);
  if (!parent_->packed && narrow && row_count <= kPackedRows) target_ = pool.take_unset(true);
}

void Subtraction::run(size_t begin, size_t end) {
  Histogram& parent = *parent_;
  if (parent.packed) {
    for (size_t bin = begin; bin < end; ++bin) parent.words[bin] -= part_.words[bin];
  } else if (target_) {
    for (size_t bin = begin; bin < end; ++bin) {
      const Sums sums = parent.at(bin) - part_.at(bin);
      target_->words[bin] = (static_cast<uint64_t>(sums.g) << 38) +
                            (static_cast<uint64_t>(sums.h) << 13) +
                            static_cast<uint64_t>(sums.count);
    }
  } else {
    for (size_t bin = begin; bin < end; ++bin) {
      const Sums sums = part_.at(bin);
      parent.g[bin] -= sums.g;
      parent.h[bin] -= sums.h;
      parent.count[bin] -= static_cast<uint32_t>(sums.count);
    }
  }
}

std::unique_ptr<Histogram> Subtraction::finish() {
  if (!target_) return std::move(parent_);
  pool_.give_back(std::move(parent_));
  return std::move(target_);
}

std::unique_ptr<Histogram> subtract(std::unique_ptr<Histogram> parent, const Histogram& part,
                                    size_t row_count, bool narrow, HistogramPool& pool) {
  const PhaseScope scope(Phase::subtract);
  Subtraction subtraction(std::move(parent), part, row_count, narrow, pool);
  subtraction.run(0, part.bin_count());
  return subtraction.finish();
}

}  // namespace evergrove::trees
