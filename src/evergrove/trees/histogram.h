// Histogram: for every bin of every feature, the exact sums of g and h and the count of rows.
//
// Two forms, told apart by the number of rows. Packed: one 64-bit word a bin, 26 bits of g, 25 of
// h and 13 of count, for narrow gradients and at most kPackedRows rows; words are added and
// subtracted as plain integers, because no field can overflow into the next. Wide: g and h as
// 64-bit sums and a 32-bit count. Both hold the same numbers, so the form never alters a result.
// A histogram belongs to one node; add and subtract are called by one thread at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "evergrove/base/large_vector.h"
#include "evergrove/bins/bin_matrix.h"
#include "evergrove/trees/gradients.h"

namespace evergrove::trees {

inline constexpr size_t kPackedRows = 8191;

// Sums over rows, in gradient units.
struct Sums {
  int64_t g = 0;
  int64_t h = 0;
  int64_t count = 0;
  Sums operator+(const Sums& o) const { return {g + o.g, h + o.h, count + o.count}; }
  Sums operator-(const Sums& o) const { return {g - o.g, h - o.h, count - o.count}; }
  bool operator==(const Sums&) const = default;
};

constexpr uint64_t pack(NarrowGradient gradient) {
  return (static_cast<uint64_t>(int64_t{gradient.g}) << 38) + (uint64_t{gradient.h} << 13) + 1;
}
constexpr Sums unpack(uint64_t word) {
  return {static_cast<int64_t>(word) >> 38, static_cast<int64_t>((word >> 13) & 0x1ffffff),
          static_cast<int64_t>(word & 0x1fff)};
}

// The inverse. Requires: sums of kPackedRows rows of narrow gradients at most.
constexpr uint64_t pack_sums(const Sums& sums) {
  return (static_cast<uint64_t>(sums.g) << 38) + (static_cast<uint64_t>(sums.h) << 13) +
         static_cast<uint64_t>(sums.count);
}

// Some bins of a histogram in either form: packed words, or g, h and count.
struct BinRange {
  const uint64_t* words = nullptr;  // packed; else null
  const int64_t* g = nullptr;
  const int64_t* h = nullptr;
  const uint32_t* count = nullptr;
  size_t size = 0;
};
// The same, to be changed.
struct BinSums {
  uint64_t* words = nullptr;  // packed; else null
  int64_t* g = nullptr;
  int64_t* h = nullptr;
  uint32_t* count = nullptr;
  size_t size = 0;

  // Bins begin to begin + part_size - 1 of these.
  BinSums part(size_t begin, size_t part_size) const {
    if (words != nullptr) return {.words = words + begin, .size = part_size};
    return {.g = g + begin, .h = h + begin, .count = count + begin, .size = part_size};
  }
};

// Bins begin where a cache line does, so that a vector of them never lies in two.
struct Histogram {
  bool packed = false;
  LargeVector<uint64_t> words;  // packed
  LargeVector<int64_t> g;       // wide
  LargeVector<int64_t> h;
  LargeVector<uint32_t> count;

  size_t bin_count() const { return packed ? words.size() : g.size(); }
  Sums at(size_t bin) const {
    return packed ? unpack(words[bin]) : Sums{g[bin], h[bin], int64_t{count[bin]}};
  }
  // What bins begin to begin + size - 1 have together.
  Sums total(size_t begin, size_t size) const {
    Sums sums;
    for (size_t bin = begin; bin < begin + size; ++bin) sums = sums + at(bin);
    return sums;
  }
  BinRange range(size_t begin, size_t size) const {
    if (packed) return {.words = words.data() + begin, .size = size};
    return {
        .g = g.data() + begin, .h = h.data() + begin, .count = count.data() + begin, .size = size};
  }
  BinSums sums(size_t begin, size_t size) {
    if (packed) return {.words = words.data() + begin, .size = size};
    return {
        .g = g.data() + begin, .h = h.data() + begin, .count = count.data() + begin, .size = size};
  }
};

// Sets all sums to 0, or those of bins begin to begin + size - 1.
void clear(Histogram& histogram);
void clear(Histogram& histogram, size_t begin, size_t size);

// Keeps histograms for reuse, so that a tree takes no memory after the first one.
// Safe to use from many threads.
class HistogramPool {
 public:
  explicit HistogramPool(size_t bin_count) : bin_count_(bin_count) {}

  // Returns a histogram of that form with all sums 0.
  std::unique_ptr<Histogram> take(bool packed);
  // The same with any sums.
  std::unique_ptr<Histogram> take_unset(bool packed);
  void give_back(std::unique_ptr<Histogram> histogram);

  // Packed ones to add to, apart from those that are kept: few, which stay in the cache. Requires:
  // all sums are 0 again when they are given back.
  std::unique_ptr<Histogram> take_zeros();
  void give_back_zeros(std::unique_ptr<Histogram> histogram);

 private:
  using Histograms = std::vector<std::unique_ptr<Histogram>>;
  std::unique_ptr<Histogram> take_kept(Histograms& histograms);  // null: there is none
  std::unique_ptr<Histogram> make_unset(bool packed) const;
  size_t bin_count_;
  std::mutex mutex_;
  Histograms zeros_;
  Histograms packed_;
  Histograms wide_;
};

// What a histogram is built from, besides the rows.
struct HistogramInput {
  const bins::BinMatrix* bins;
  const Gradients* gradients;
  std::span<const uint32_t> features;  // to build, ascending; the bins of others stay 0
};

// Returns the histogram of the given rows; packed when the gradients are narrow and the rows few
// enough. Large ones are built in parallel, and smaller ones if so many `threads` have nothing else
// to do. An empty `rows` with all_rows means rows 0 to bins->row_count() - 1.
std::unique_ptr<Histogram> build_histogram(const HistogramInput& input,
                                           std::span<const TreeRow> rows, bool all_rows,
                                           HistogramPool& pool, size_t threads = 1);

// The same over rows that lie in several places (a worker's shards), as if they were in one.
// Requires: at least one part; all of one binning, with the same features and width of gradients.
struct HistogramPart {
  HistogramInput input;
  std::span<const TreeRow> rows;
  bool all_rows = false;

  size_t row_count() const { return all_rows ? input.bins->row_count() : rows.size(); }
};
std::unique_ptr<Histogram> build_histogram(std::span<const HistogramPart> parts,
                                           HistogramPool& pool, size_t threads = 1);

// The same of few rows, each range of bins where it is wanted: the piece has those from the end of
// the one before it on, and ends between two features.
struct HistogramPiece {
  size_t bin_end = 0;
  BinSums to;
  bool is_unset = true;  // these are any yet, and are set; else the rows are added to them
};
// No piece is unset after it. Requires: all bins are in a piece; can_build_pieces(parts).
void build_pieces(std::span<const HistogramPart> parts, std::span<HistogramPiece> pieces);
// Whether the rows are few enough, gradients narrow, and no bins sparse or left out.
bool can_build_pieces(std::span<const HistogramPart> parts);

// Returns parent - part, the histogram of the parent's other rows, in the form that row_count
// asks for; takes the parent's memory where it can.
std::unique_ptr<Histogram> subtract(std::unique_ptr<Histogram> parent, const Histogram& part,
                                    size_t row_count, bool narrow, HistogramPool& pool);

// The same bin by bin, for who looks at some bins while they are in the cache.
class Subtraction {
 public:
  // `part` outlives it.
  Subtraction(std::unique_ptr<Histogram> parent, const Histogram& part, size_t row_count,
              bool narrow, HistogramPool& pool);
  // Bins begin to end - 1. Each is to be done once; different ones from different threads.
  void run(size_t begin, size_t end);
  // Right where run() was called.
  const Histogram& result() const { return target_ ? *target_ : *parent_; }
  // Requires: all bins are done.
  std::unique_ptr<Histogram> finish();

 private:
  std::unique_ptr<Histogram> parent_;
  std::unique_ptr<Histogram> target_;  // null: the parent's memory is taken
  const Histogram& part_;
  HistogramPool& pool_;
};

}  // namespace evergrove::trees
