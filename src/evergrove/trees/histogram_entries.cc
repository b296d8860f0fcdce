// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram_entries.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "evergrove/base/phase.h"
#include "evergrove/trees/histogram_kernel.h"
#include "evergrove/trees/histogram_scratch.h"

namespace evergrove::trees {
namespace {

// Some of a node's rows. Most entries are packed words until the end, for so few of all rows have
// each that they cannot overflow; those of frequent features, and cells, go to a wide histogram
// from time to time, if the node has so many rows that it is to be one.
struct SomeRows {
  std::unique_ptr<Histogram> words;  // packed; 0 before and after
  std::unique_ptr<Histogram> wide;   // null: all are in words. Else what is_wide_at_once()
  Sums total;
};

bool is_wide_at_once(const bins::SparseBins::Feature* sparse) {
  return sparse == nullptr || sparse->rows_max > kPackedRows;
}

// Calls visit(feature, sparse) for features first to last - 1; sparse: null where it is none.
template <typename Visit>
void for_each_feature(const bins::BinMatrix& bins, size_t first, size_t last, const Visit& visit) {
  const std::span<const bins::SparseBins::Feature> sparse = bins.sparse().features;
  auto next = std::lower_bound(sparse.begin(), sparse.end(), first,
                               [](const bins::SparseBins::Feature& feature, size_t number) {
                                 return feature.feature < number;
                               });
  for (size_t feature = first; feature < last; ++feature) {
    const bool is_sparse = next != sparse.end() && next->feature == feature;
    visit(feature, is_sparse ? &*next : nullptr);
    if (is_sparse) ++next;
  }
}

SomeRows add_some_rows(const HistogramPart& part, size_t begin, size_t end, bool is_packed,
                       HistogramPool& pool) {
  const PhaseScope scope(Phase::histogram);
  const bins::BinMatrix& bins = *part.input.bins;
  SomeRows sums{pool.take_zeros(), is_packed ? nullptr : pool.take_unset(false), {}};
  if (sums.wide) {
    for_each_feature(bins, 0, bins.feature_count(), [&](size_t feature, const auto* sparse) {
      if (!is_wide_at_once(sparse)) return;
      clear(*sums.wide, bins.histogram_offsets()[feature], bins.bin_count(feature));
    });
  }
  Scratch& scratch = prepare_scratch(part.input);
  scratch.entries = sums.words->words.data();
  for (size_t first = begin; first < end; first += kPackedRows) {
    add_to_scratch(part, scratch, first, std::min(kPackedRows, end - first));
    flush_cells(part.input, scratch, sums.wide ? *sums.wide : *sums.words);
    sums.total = sums.total + unpack(std::exchange(scratch.words[scratch.total], 0));
    if (!sums.wide) continue;
    for (const bins::SparseBins::Feature& feature : bins.sparse().features) {
      if (!is_wide_at_once(&feature)) continue;
      uint64_t* const words = sums.words->words.data() + feature.start;
      move_to(words, sums.wide->sums(feature.start, feature.bin_count), /*is_unset=*/false);
    }
  }
  return sums;
}

// Sets a sparse feature's bins, by words that have all but the usual one and what the histogram has
// of them already.
void set_sparse(const bins::SparseBins::Feature& feature, const Sums& total, const uint64_t* words,
                Histogram& to) {
  const BinSums bins = to.sums(feature.start, feature.bin_count);
  Sums others;
  if (!to.packed && is_wide_at_once(&feature)) {
    add_to({.words = words, .size = bins.size}, bins);
    others = to.total(feature.start, bins.size);
  } else {
    others = set_to(words, bins);
  }
  const Sums usual = total - others;
  if (to.packed) {
    bins.words[feature.usual_bin] = pack_sums(usual);
  } else {
    bins.g[feature.usual_bin] = usual.g;
    bins.h[feature.usual_bin] = usual.h;
    bins.count[feature.usual_bin] = static_cast<uint32_t>(usual.count);
  }
}

// Adds up the parts of a node's rows, features [first, last), and sets the usual bins: what the
// others leave of all rows. Bins that nobody asked for become 0. `to` is the first part's wide
// histogram where it is one.
void add_up_features(const HistogramInput& input, std::span<const SomeRows> parts,
                     const Sums& total, size_t first, size_t last, Histogram& to) {
  const PhaseScope scope(Phase::histogram);
  for_each_feature(*input.bins, first, last, [&](size_t feature, const auto* sparse) {
    const size_t begin = input.bins->histogram_offsets()[feature];
    const size_t bin_count = input.bins->bin_count(feature);
    const BinSums words = parts[0].words->sums(begin, bin_count);
    for (const SomeRows& part : parts.subspan(1)) {
      add_to(part.words->range(begin, bin_count), words);
      clear(*part.words, begin, bin_count);
      if (part.wide && is_wide_at_once(sparse)) {
        add_to(part.wide->range(begin, bin_count), to.sums(begin, bin_count));
      }
    }
    if (sparse == nullptr) {
      if (to.packed) std::copy_n(words.words, bin_count, to.words.data() + begin);
    } else if (is_asked_for(input, static_cast<uint32_t>(feature))) {
      set_sparse(*sparse, total, words.words, to);
    } else {
      clear(to, begin, bin_count);
    }
    std::fill_n(words.words, bin_count, 0);
  });
}

}  // namespace

bool may_build_with_entries(std::span<const HistogramPart> parts) {
  const HistogramInput& input = parts[0].input;
  const bins::SparseBins& sparse = input.bins->sparse();
  return parts.size() == 1 && !input.gradients->wide && !sparse.empty();
}

std::unique_ptr<Histogram> build_with_entries(const HistogramPart& part, HistogramPool& pool) {
  constexpr size_t kRowsMin = 512;
  constexpr size_t kFeatures = 64;
  const size_t row_count = part.row_count();
  const bool is_packed = row_count <= kPackedRows;
  const auto threads = static_cast<size_t>(tbb::this_task_arena::max_concurrency());
  std::vector<SomeRows> parts(std::clamp<size_t>(row_count / kRowsMin, 1, threads));
  tbb::parallel_for(size_t{0}, parts.size(), [&](size_t i) {
    const size_t end = (i + 1) * row_count / parts.size();
    parts[i] = add_some_rows(part, i * row_count / parts.size(), end, is_packed, pool);
  });
  Sums total;
  for (const SomeRows& each : parts) total = total + each.total;
  std::unique_ptr<Histogram> sums =
      is_packed ? pool.take_unset(true) : std::exchange(parts[0].wide, nullptr);
  const size_t feature_count = part.input.bins->feature_count();
  tbb::parallel_for(size_t{0}, (feature_count + kFeatures - 1) / kFeatures, [&](size_t i) {
    add_up_features(part.input, parts, total, i * kFeatures,
                    std::min((i + 1) * kFeatures, feature_count), *sums);
  });
  for (SomeRows& each : parts) {
    pool.give_back_zeros(std::move(each.words));
    pool.give_back(std::move(each.wide));
  }
  return sums;
}

}  // namespace evergrove::trees
