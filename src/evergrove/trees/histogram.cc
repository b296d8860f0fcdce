// A histogram is added up piece by piece, with sums that have no order (histogram_scratch.cc has
// the loop that all time goes into).
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram.h"

#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "evergrove/base/check.h"
#include "evergrove/base/phase.h"
#include "evergrove/trees/histogram_entries.h"
#include "evergrove/trees/histogram_kernel.h"
#include "evergrove/trees/histogram_scratch.h"

namespace evergrove::trees {
namespace {

// Rows that a task sums before it is worth a new one, and where threads have nothing else to do.
constexpr size_t kPartRows = kPackedRows;
constexpr size_t kSharedPartRows = 2048;
constexpr size_t kMergedBins = 1024;

// Adds rows [begin, end) of the part to its histogram. is_unset: that is any yet.
void add_part(const HistogramPart& part, size_t begin, size_t end, Histogram& to,
              bool is_unset = false) {
  const PhaseScope scope(Phase::histogram);
  if (is_unset && (begin == end || !may_set_cells(part.input))) {
    clear(to);
    is_unset = false;
  }
  Scratch& scratch = prepare_scratch(part.input);
  for (size_t first = begin; first < end; first += kPackedRows) {
    add_to_scratch(part, scratch, first, std::min(kPackedRows, end - first));
    flush_cells(part.input, scratch, to, std::exchange(is_unset, false));
    if (!part.input.bins->sparse().empty()) flush_sparse(part.input, scratch, to);
  }
}

struct Piece {
  const HistogramPart* part;
  size_t begin, end;
};

// What a thread adds its pieces to.
struct Partial {
  std::unique_ptr<Histogram> own;  // null: it is the whole
  bool is_unset = true;
};

// Sets the whole to the sums of all pieces: a histogram a thread, for as long as the loop lasts.
// Integer sums, so any split of the rows gives the same total. The first thread to come adds to the
// whole itself, and others come only where they have nothing else to do.
void add_pieces(std::span<const Piece> pieces, Histogram& whole, HistogramPool& pool) {
  std::atomic_flag is_taken;
  tbb::enumerable_thread_specific<Partial> partials([&]() -> Partial {
    return {is_taken.test_and_set() ? pool.take_unset(whole.packed) : nullptr};
  });
  tbb::parallel_for(size_t{0}, pieces.size(), [&](size_t i) {
    const Piece& piece = pieces[i];
    Partial& to = partials.local();
    add_part(*piece.part, piece.begin, piece.end, to.own ? *to.own : whole,
             std::exchange(to.is_unset, false));
  });
  if (partials.size() == 1) return;
  const size_t bin_count = whole.bin_count();
  tbb::parallel_for(size_t{0}, (bin_count + kMergedBins - 1) / kMergedBins, [&](size_t i) {
    const PhaseScope scope(Phase::histogram);
    const size_t first = i * kMergedBins;
    const size_t size = std::min(kMergedBins, bin_count - first);
    for (const Partial& partial : partials) {
      if (partial.own) add_to(partial.own->range(first, size), whole.sums(first, size));
    }
  });
  for (Partial& partial : partials) pool.give_back(std::move(partial.own));
}

}  // namespace

void clear(Histogram& histogram) { clear(histogram, 0, histogram.bin_count()); }

void clear(Histogram& histogram, size_t begin, size_t size) {
  if (histogram.packed) {
    std::fill_n(histogram.words.data() + begin, size, 0);
    return;
  }
  std::fill_n(histogram.g.data() + begin, size, 0);
  std::fill_n(histogram.h.data() + begin, size, 0);
  std::fill_n(histogram.count.data() + begin, size, 0);
}

std::unique_ptr<Histogram> HistogramPool::take_kept(Histograms& histograms) {
  std::lock_guard lock(mutex_);
  if (histograms.empty()) return nullptr;
  std::unique_ptr<Histogram> histogram = std::move(histograms.back());
  histograms.pop_back();
  return histogram;
}

std::unique_ptr<Histogram> HistogramPool::make_unset(bool packed) const {
  auto histogram = std::make_unique<Histogram>();
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

std::unique_ptr<Histogram> HistogramPool::take_unset(bool packed) {
  auto kept = take_kept(packed ? packed_ : wide_);
  return kept ? std::move(kept) : make_unset(packed);
}

std::unique_ptr<Histogram> HistogramPool::take_zeros() {
  auto histogram = take_kept(zeros_);
  if (histogram) return histogram;
  histogram = make_unset(true);
  clear(*histogram);
  return histogram;
}

void HistogramPool::give_back_zeros(std::unique_ptr<Histogram> histogram) {
  std::lock_guard lock(mutex_);
  zeros_.push_back(std::move(histogram));
}

std::unique_ptr<Histogram> HistogramPool::take(bool packed) {
  std::unique_ptr<Histogram> histogram = take_unset(packed);
  clear(*histogram);
  return histogram;
}

void HistogramPool::give_back(std::unique_ptr<Histogram> histogram) {
  if (!histogram) return;
  std::lock_guard lock(mutex_);
  (histogram->packed ? packed_ : wide_).push_back(std::move(histogram));
}

std::unique_ptr<Histogram> build_histogram(const HistogramInput& input,
                                           std::span<const TreeRow> rows, bool all_rows,
                                           HistogramPool& pool, size_t threads) {
  const HistogramPart part{input, rows, all_rows};
  return build_histogram({&part, 1}, pool, threads);
}

std::unique_ptr<Histogram> build_histogram(std::span<const HistogramPart> parts,
                                           HistogramPool& pool, size_t threads) {
  size_t row_count = 0;
  for (const HistogramPart& part : parts) row_count += part.row_count();
  const bool is_packed = !parts[0].input.gradients->wide && row_count <= kPackedRows;
  if (may_build_with_entries(parts)) return build_with_entries(parts[0], pool);
  std::unique_ptr<Histogram> histogram = pool.take_unset(is_packed);
  const bool is_large = row_count > 2 * kPartRows;
  const size_t piece_rows =
      is_large ? kPartRows : std::max((row_count + threads - 1) / threads, kSharedPartRows);
  if (row_count <= piece_rows) {
    bool is_unset = true;
    for (const HistogramPart& part : parts) {
      add_part(part, 0, part.row_count(), *histogram, std::exchange(is_unset, false));
    }
    return histogram;
  }
  std::vector<Piece> pieces;
  for (const HistogramPart& part : parts) {
    for (size_t begin = 0; begin < part.row_count(); begin += piece_rows) {
      pieces.push_back({&part, begin, std::min(begin + piece_rows, part.row_count())});
    }
  }
  add_pieces(pieces, *histogram, pool);
  return histogram;
}

bool can_build_pieces(std::span<const HistogramPart> parts) {
  size_t row_count = 0;
  for (const HistogramPart& part : parts) {
    row_count += part.row_count();
    if (!may_set_cells(part.input)) return false;
  }
  return row_count > 0 && row_count <= kPackedRows;
}

void build_pieces(std::span<const HistogramPart> parts, std::span<HistogramPiece> pieces) {
  const PhaseScope scope(Phase::histogram);
  for (const HistogramPart& part : parts) {
    if (part.row_count() == 0) continue;
    Scratch& scratch = prepare_scratch(part.input);
    add_to_scratch(part, scratch, 0, part.row_count());
    flush_cells(part.input, scratch, pieces);
    for (HistogramPiece& piece : pieces) piece.is_unset = false;
  }
}

Subtraction::Subtraction(std::unique_ptr<Histogram> parent, const Histogram& part, size_t row_count,
                         bool narrow, HistogramPool& pool)
    : parent_(std::move(parent)), part_(part), pool_(pool) {
  CHECK(!parent_->packed || part_.packed);
  if (!parent_->packed && narrow && row_count <= kPackedRows) target_ = pool.take_unset(true);
}

void Subtraction::run(size_t begin, size_t end) {
  const BinRange part = part_.range(begin, end - begin);
  if (target_) {
    subtract_packed(parent_->range(begin, end - begin), part, target_->words.data() + begin);
  } else {
    subtract_from(part, parent_->sums(begin, end - begin));
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
