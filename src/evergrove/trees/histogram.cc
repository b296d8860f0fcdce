// The hot loop of training: one read-modify-write of a 64-bit word per (row, feature).
//
// A row's gradients are packed in one word (26 + 25 + 13 bits), which is added to the word of the
// row's bin in every feature; after kPackedRows rows, before a field can overflow, the words are
// added to the wide sums. Rows are gathered through their indices, so their bins are prefetched
// some rows ahead. Features are taken four at a time from one 32-bit load (two 64-bit loads for
// 16-bit bins); the padding of a row is added to a spare bin at the end, which nobody reads.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram.h"

#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cstring>

#include "evergrove/base/check.h"

namespace evergrove::trees {
namespace {

constexpr size_t kSpareBins = 1;
constexpr size_t kPrefetchRows = 12;
constexpr size_t kPartRows = 4 * kPackedRows;  // rows a task sums before it is worth a new one

// Where each feature's bins start, padded to a multiple of four with the spare bin.
struct Places {
  std::vector<uint32_t> starts;
  std::vector<uint32_t> columns;  // only when not all features are built
};

Places find_places(const HistogramInput& input) {
  const auto offsets = input.bins->histogram_offsets();
  Places places;
  for (uint32_t feature : input.features) places.starts.push_back(offsets[feature]);
  if (input.features.size() < input.bins->feature_count()) {
    places.columns.assign(input.features.begin(), input.features.end());
  } else {
    while (places.starts.size() % 4 != 0) places.starts.push_back(offsets.back());
  }
  return places;
}

struct IndexedRows {
  const uint32_t* rows;
  size_t operator[](size_t i) const { return rows[i]; }
};
struct ConsecutiveRows {
  size_t first;
  size_t operator[](size_t i) const { return first + i; }
};

template <typename Bin, typename Add>
void add_row(const Bin* bins, const Places& places, const Add& add) {
  const uint32_t* starts = places.starts.data();
  if (!places.columns.empty()) {
    for (size_t i = 0; i < places.columns.size(); ++i) add(starts[i] + bins[places.columns[i]]);
    return;
  }
  const size_t feature_count = places.starts.size();
  for (size_t f = 0; f < feature_count; f += 4) {
    if constexpr (sizeof(Bin) == 1) {
      uint32_t four;
      std::memcpy(&four, bins + f, sizeof(four));
      add(starts[f] + (four & 255));
      add(starts[f + 1] + ((four >> 8) & 255));
      add(starts[f + 2] + ((four >> 16) & 255));
      add(starts[f + 3] + (four >> 24));
    } else {
      for (size_t i = f; i < f + 4; ++i) add(starts[i] + bins[i]);
    }
  }
}

template <typename Bin, typename Rows, typename Gradient, typename AddRow>
void for_rows(const HistogramInput& input, const Rows& rows, size_t count,
              const std::vector<Gradient>& gradients, const AddRow& add) {
  const Bin* bins = input.bins->rows<Bin>();
  const size_t stride = input.bins->row_stride();
  const size_t ahead = count > kPrefetchRows ? count - kPrefetchRows : 0;
  size_t i = 0;
  for (; i < ahead; ++i) {
    const size_t next = rows[i + kPrefetchRows];
    __builtin_prefetch(bins + next * stride);
    __builtin_prefetch(bins + next * stride + stride - 1);
    __builtin_prefetch(&gradients[next]);
    add(bins + rows[i] * stride, gradients[rows[i]]);
  }
  for (; i < count; ++i) add(bins + rows[i] * stride, gradients[rows[i]]);
}

template <typename Bin, typename Rows>
void add_narrow(const HistogramInput& input, const Places& places, const Rows& rows, size_t count,
                uint64_t* words) {
  for_rows<Bin>(input, rows, count, input.gradients->narrow,
                [&](const Bin* bins, NarrowGradient gradient) {
                  const uint64_t word = pack(gradient);
                  add_row(bins, places, [&](size_t bin) { words[bin] += word; });
                });
}

// Wide gradients go to pairs of words: the sum of g, and h in the upper 44 bits over the count.
template <typename Bin, typename Rows>
void add_wide(const HistogramInput& input, const Places& places, const Rows& rows, size_t count,
              uint64_t* words) {
  for_rows<Bin>(input, rows, count, input.gradients->wide_pairs,
                [&](const Bin* bins, WideGradient gradient) {
                  const uint64_t g = static_cast<uint64_t>(int64_t{gradient.g});
                  const uint64_t h_count = (static_cast<uint64_t>(gradient.h) << 20) + 1;
                  add_row(bins, places, [&](size_t bin) {
                    words[2 * bin] += g;
                    words[2 * bin + 1] += h_count;
                  });
                });
}

void flush_narrow(std::vector<uint64_t>& words, size_t bin_count, Histogram& to) {
  int64_t* g = to.g.data();
  int64_t* h = to.h.data();
  uint32_t* n = to.count.data();
  for (size_t bin = 0; bin < bin_count; ++bin) {
    const uint64_t word = words[bin];
    g[bin] += static_cast<int64_t>(word) >> 38;
    h[bin] += static_cast<int64_t>((word >> 13) & 0x1ffffff);
    n[bin] += static_cast<uint32_t>(word & 0x1fff);
  }
  std::fill(words.begin(), words.end(), 0);
}

void flush_wide(std::vector<uint64_t>& words, size_t bin_count, Histogram& to) {
  for (size_t bin = 0; bin < bin_count; ++bin) {
    to.g[bin] += static_cast<int64_t>(words[2 * bin]);
    to.h[bin] += static_cast<int64_t>(words[2 * bin + 1] >> 20);
    to.count[bin] += static_cast<uint32_t>(words[2 * bin + 1] & 0xfffff);
  }
  std::fill(words.begin(), words.end(), 0);
}

std::vector<uint64_t>& scratch_words(size_t size) {
  thread_local std::vector<uint64_t> words;
  words.assign(size, 0);
  return words;
}

// Adds rows [begin, end) of the node to a wide histogram.
template <typename Bin>
void add_part(const HistogramInput& input, const Places& places, std::span<const uint32_t> rows,
              bool all_rows, size_t begin, size_t end, Histogram& to) {
  const size_t bin_count = input.bins->histogram_offsets().back();
  const bool wide = input.gradients->wide;
  std::vector<uint64_t>& words = scratch_words((bin_count + kSpareBins) * (wide ? 2 : 1));
  for (size_t first = begin; first < end; first += kPackedRows) {
    const size_t count = std::min(kPackedRows, end - first);
    const auto add = [&](const auto& which) {
      if (wide) {
        add_wide<Bin>(input, places, which, count, words.data());
      } else {
        add_narrow<Bin>(input, places, which, count, words.data());
      }
    };
    if (all_rows) {
      add(ConsecutiveRows{first});
    } else {
      add(IndexedRows{rows.data() + first});
    }
    if (wide) {
      flush_wide(words, bin_count, to);
    } else {
      flush_narrow(words, bin_count, to);
    }
  }
}

template <typename Bin>
std::unique_ptr<Histogram> build(const HistogramInput& input, std::span<const uint32_t> rows,
                                 bool all_rows, HistogramPool& pool) {
  const Places places = find_places(input);
  const size_t row_count = all_rows ? input.bins->row_count() : rows.size();
  const bool packed = !input.gradients->wide && row_count <= kPackedRows;
  std::unique_ptr<Histogram> histogram = pool.take(packed);
  if (packed) {
    if (all_rows) {
      add_narrow<Bin>(input, places, ConsecutiveRows{0}, row_count, histogram->words.data());
    } else {
      add_narrow<Bin>(input, places, IndexedRows{rows.data()}, row_count, histogram->words.data());
    }
    return histogram;
  }
  if (row_count <= 2 * kPartRows) {
    add_part<Bin>(input, places, rows, all_rows, 0, row_count, *histogram);
    return histogram;
  }
  // A partial histogram a thread, for as long as the loop lasts; integer sums, so any split of the
  // rows gives the same total.
  tbb::enumerable_thread_specific<std::unique_ptr<Histogram>> partial(
      [&] { return pool.take(false); });
  const size_t part_count = (row_count + kPartRows - 1) / kPartRows;
  tbb::parallel_for(tbb::blocked_range<size_t>(0, part_count, 1), [&](const auto& range) {
    add_part<Bin>(input, places, rows, all_rows, range.begin() * kPartRows,
                  std::min(range.end() * kPartRows, row_count), *partial.local());
  });
  for (std::unique_ptr<Histogram>& part : partial) {
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

std::unique_ptr<Histogram> HistogramPool::take(bool packed) {
  std::unique_ptr<Histogram> histogram;
  {
    std::lock_guard lock(mutex_);
    auto& free = packed ? packed_ : wide_;
    if (!free.empty()) {
      histogram = std::move(free.back());
      free.pop_back();
    }
  }
  if (!histogram) histogram = std::make_unique<Histogram>();
  histogram->packed = packed;
  if (packed) {
    histogram->words.assign(bin_count_ + kSpareBins, 0);
  } else {
    histogram->g.assign(bin_count_, 0);
    histogram->h.assign(bin_count_, 0);
    histogram->count.assign(bin_count_, 0);
  }
  return histogram;
}

void HistogramPool::give_back(std::unique_ptr<Histogram> histogram) {
  if (!histogram) return;
  std::lock_guard lock(mutex_);
  (histogram->packed ? packed_ : wide_).push_back(std::move(histogram));
}

std::unique_ptr<Histogram> build_histogram(const HistogramInput& input,
                                           std::span<const uint32_t> rows, bool all_rows,
                                           HistogramPool& pool) {
  return input.bins->bin_bytes() == 1 ? build<uint8_t>(input, rows, all_rows, pool)
                                      : build<uint16_t>(input, rows, all_rows, pool);
}

std::unique_ptr<Histogram> subtract(std::unique_ptr<Histogram> parent, const Histogram& part,
                                    size_t row_count, bool narrow, HistogramPool& pool) {
  if (parent->packed) {
    CHECK(part.packed);
    for (size_t bin = 0; bin < parent->words.size(); ++bin) parent->words[bin] -= part.words[bin];
    return parent;
  }
  const size_t bin_count = parent->g.size();
  if (narrow && row_count <= kPackedRows) {
    std::unique_ptr<Histogram> result = pool.take(true);
    for (size_t bin = 0; bin < bin_count; ++bin) {
      const Sums sums = parent->at(bin) - part.at(bin);
      result->words[bin] = (static_cast<uint64_t>(sums.g) << 38) +
                           (static_cast<uint64_t>(sums.h) << 13) +
                           static_cast<uint64_t>(sums.count);
    }
    pool.give_back(std::move(parent));
    return result;
  }
  for (size_t bin = 0; bin < bin_count; ++bin) {
    const Sums sums = part.at(bin);
    parent->g[bin] -= sums.g;
    parent->h[bin] -= sums.h;
    parent->count[bin] -= static_cast<uint32_t>(sums.count);
  }
  return parent;
}

}  // namespace evergrove::trees
