// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram_entries.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <vector>

#include "evergrove/base/phase.h"
#include "evergrove/trees/histogram_scratch.h"

namespace evergrove::trees {
namespace {

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

AtOnce add_at_once(const HistogramPart& part, size_t begin, size_t end, bool is_packed,
                   HistogramPool& pool) {
  const PhaseScope scope(Phase::histogram);
  AtOnce sums{pool.take(true), is_packed ? nullptr : pool.take(false), {}};
  Scratch& scratch = prepare_scratch(part.input);
  scratch.entries = sums.entries->words.data();
  for (size_t first = begin; first < end; first += kPackedRows) {
    add_to_scratch(part, scratch, first, std::min(kPackedRows, end - first));
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
      set_packed(*next, pack_sums(total), words);
    }
    if (is_sparse) ++next;
  }
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
  std::vector<AtOnce> parts(std::clamp<size_t>(row_count / kRowsMin, 1, threads));
  tbb::parallel_for(size_t{0}, parts.size(), [&](size_t i) {
    parts[i] = add_at_once(part, i * row_count / parts.size(), (i + 1) * row_count / parts.size(),
                           is_packed, pool);
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

}  // namespace evergrove::trees
