// Histograms beside sums that are taken row by row: every form, whatever the bins and rows.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "evergrove/base/hash.h"

namespace evergrove::trees {
namespace {

struct Case {
  std::vector<uint32_t> bin_counts;
  size_t row_count = 0;
  bool wide = false;
  uint64_t seed = 0;
  uint64_t unusual = 2;  // of so many bins one is not the usual
  // The columns from here on are those of categories, so many each: in each row, one of them has
  // another bin than the usual.
  size_t one_hot_from = ~size_t{0};
  size_t one_hot_size = 1;
};

struct Data {
  std::vector<model::Feature> features;
  bins::BinMatrix bins;
  Gradients gradients;

  explicit Data(const Case& c) {
    for (uint32_t count : c.bin_counts) {
      model::Feature feature;
      feature.kind = table::ColumnKind::categorical;
      feature.categories.resize(count - 1);
      features.push_back(feature);
    }
    bins = bins::BinMatrix(c.row_count, features);
    const RandomKey key(c.seed, "histogram test");
    uint64_t next = 0;
    for (size_t f = 0; f < c.bin_counts.size(); ++f) {
      for (size_t row = 0; row < c.row_count; ++row) {
        const uint64_t dice = key.at(next++);
        bool is_usual = dice % c.unusual != 0;
        if (f >= c.one_hot_from) {
          const size_t category = (f - c.one_hot_from) / c.one_hot_size;
          const size_t set = RandomKey(c.seed, "category", category).at(row) % c.one_hot_size;
          is_usual = (f - c.one_hot_from) % c.one_hot_size != set;
        }
        const uint64_t bin = (is_usual ? 1 : dice >> 8) % c.bin_counts[f];
        if (bins.bin_bytes() == 1) {
          bins.column<uint8_t>(f)[row] = static_cast<uint8_t>(bin);
        } else {
          bins.column<uint16_t>(f)[row] = static_cast<uint16_t>(bin);
        }
      }
    }
    bins.build_rows();
    gradients.wide = c.wide;
    for (size_t row = 0; row < c.row_count; ++row) {
      const uint64_t dice = key.at(next++);
      if (c.wide) {
        gradients.wide_pairs.push_back({static_cast<int32_t>(dice % (2ull * kWideMax)) - kWideMax,
                                        static_cast<int32_t>((dice >> 32) % kWideMax)});
      } else {
        gradients.narrow.push_back({static_cast<int16_t>(int64_t(dice % 8191) - kNarrowMax),
                                    static_cast<uint16_t>((dice >> 32) % 4096)});
      }
    }
  }

  Sums pair(size_t row) const {
    if (gradients.wide) return {gradients.wide_pairs[row].g, gradients.wide_pairs[row].h, 1};
    return {gradients.narrow[row].g, gradients.narrow[row].h, 1};
  }
  std::vector<TreeRow> every(size_t step) const {
    std::vector<TreeRow> rows;
    for (uint32_t row = 0; row < bins.row_count(); row += static_cast<uint32_t>(step)) {
      rows.push_back({row, gradients.wide ? NarrowGradient{} : gradients.narrow[row]});
    }
    return rows;
  }
};

void expect_sums(const Data& data, const Histogram& histogram, std::span<const TreeRow> rows,
                 std::span<const uint32_t> features) {
  const auto offsets = data.bins.histogram_offsets();
  std::vector<Sums> expected(offsets.back());
  for (const TreeRow& row : rows) {
    for (uint32_t f : features) {
      Sums& sums = expected[offsets[f] + data.bins.bin(row.row, f)];
      sums = sums + data.pair(row.row);
    }
  }
  for (size_t bin = 0; bin < expected.size(); ++bin) {
    ASSERT_EQ(histogram.at(bin), expected[bin]) << bin;
  }
}

// Narrow gradients, and no bins that are sparse or nobody asks for.
bool may_be_pieces(std::span<const HistogramPart> parts) {
  const HistogramInput& input = parts[0].input;
  return !input.gradients->wide && input.bins->sparse().empty() &&
         input.features.size() == input.bins->feature_count();
}

// The same parts, each range of bins in a histogram of its own: packed, or wide if it is odd.
void expect_pieces(std::span<const HistogramPart> parts, const Histogram& whole,
                   std::span<const uint32_t> offsets) {
  ASSERT_EQ(can_build_pieces(parts), may_be_pieces(parts) && whole.packed &&
                                         parts[0].row_count() + parts[1].row_count() > 0);
  if (!can_build_pieces(parts)) return;
  for (const bool is_unset : {true, false}) {
    std::vector<Histogram> histograms;
    std::vector<HistogramPiece> pieces;
    for (size_t feature = 0; feature + 1 < offsets.size(); feature += 2) {
      const size_t end = offsets[std::min(feature + 2, offsets.size() - 1)];
      Histogram& to = histograms.emplace_back();
      to.packed = feature % 4 == 0;
      const size_t bin_count = end - offsets[feature];
      // What is there already is kept, or it does not matter.
      to.words.assign(to.packed ? bin_count : 0, pack_sums({5, 2, 1}));
      to.g.assign(to.packed ? 0 : bin_count, 5);
      to.h.assign(to.packed ? 0 : bin_count, 2);
      to.count.assign(to.packed ? 0 : bin_count, 1);
      pieces.push_back({end, to.sums(0, bin_count), is_unset});
    }
    build_pieces(parts, pieces);
    size_t bin = 0;
    for (const Histogram& piece : histograms) {
      for (size_t i = 0; i < piece.bin_count(); ++i, ++bin) {
        const Sums before = is_unset ? Sums{} : Sums{5, 2, 1};
        ASSERT_EQ(piece.at(i), whole.at(bin) + before) << bin;
      }
    }
    ASSERT_EQ(bin, whole.bin_count());
  }
}

class HistogramForms : public testing::TestWithParam<Case> {};

TEST_P(HistogramForms, HoldTheSumsOfTheirRows) {
  const Data data(GetParam());
  EXPECT_EQ(data.bins.sparse().empty(), GetParam().unusual == 2);
  HistogramPool pool(data.bins.histogram_offsets().back());
  std::vector<uint32_t> all(data.features.size());
  std::iota(all.begin(), all.end(), 0u);
  std::vector<uint32_t> some;
  for (uint32_t f = 0; f < all.size(); f += 2) some.push_back(f);
  for (const std::vector<uint32_t>& features : {all, some}) {
    const HistogramInput input{&data.bins, &data.gradients, features};
    for (const size_t step : {1, 3, 100}) {
      const std::vector<TreeRow> rows = data.every(step);
      auto histogram = build_histogram(input, rows, false, pool);
      expect_sums(data, *histogram, rows, features);
      pool.give_back(std::move(histogram));
      // In two places, as if in one.
      const std::span<const TreeRow> whole = rows;
      const std::vector<HistogramPart> parts = {{input, whole.first(rows.size() / 2), false},
                                                {input, whole.subspan(rows.size() / 2), false}};
      histogram = build_histogram(parts, pool);
      expect_sums(data, *histogram, rows, features);
      expect_pieces(parts, *histogram, data.bins.histogram_offsets());
      pool.give_back(std::move(histogram));
      // By threads that have nothing else to do, if there are so many or not.
      for (const size_t threads : {2, 3, 9}) {
        histogram = build_histogram(parts, pool, threads);
        expect_sums(data, *histogram, rows, features);
        pool.give_back(std::move(histogram));
      }
    }
    const auto histogram = build_histogram(input, {}, true, pool);
    expect_sums(data, *histogram, data.every(1), features);
  }
}

std::vector<Case> cases() {
  const std::vector<std::vector<uint32_t>> shapes = {
      {255, 254, 3, 3, 3, 3, 3, 3, 200},  // flags among others
      {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3},
      {2, 16, 16, 5, 17, 256, 1, 7, 16},
      {256},
      {2, 300, 5000, 3},  // two bytes a bin
  };
  std::vector<Case> cases;
  for (const auto& shape : shapes) {
    for (const size_t rows : {size_t{0}, size_t{1}, size_t{700}, size_t{9000}, size_t{70'000}}) {
      for (const bool wide : {false, true}) cases.push_back({shape, rows, wide, cases.size()});
    }
  }
  // The columns of a category or two, of two bins or of some, beside others.
  std::vector<uint32_t> hot = {255, 5, 3};
  for (uint32_t i = 0; i < 60; ++i) hot.push_back(3 + i % 7);
  for (const size_t rows : {size_t{1}, size_t{700}, size_t{70'000}}) {
    for (const bool wide : {false, true}) {
      cases.push_back({hot, rows, wide, cases.size(), 2, 3, 60});
      cases.push_back({hot, rows, wide, cases.size(), 2, 3, 20});
    }
  }
  // Sparse ones, and others beside them.
  std::vector<uint32_t> sparse(40, 60);
  sparse.insert(sparse.end(), {3, 3, 3, 255});
  for (const size_t rows : {size_t{700}, size_t{9000}, size_t{70'000}}) {
    for (const bool wide : {false, true}) {
      cases.push_back({sparse, rows, wide, cases.size(), 30});
      cases.push_back({std::vector<uint32_t>(30, 300), rows, wide, cases.size(), 30});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, HistogramForms, testing::ValuesIn(cases()));

}  // namespace
}  // namespace evergrove::trees
