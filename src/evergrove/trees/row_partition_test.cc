// Runs that are split beside std::stable_partition, whatever their length, bins and threads.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/row_partition.h"

#include <gtest/gtest.h>
#include <tbb/task_arena.h>

#include <algorithm>

#include "evergrove/base/hash.h"

namespace evergrove::trees {
namespace {

struct Column {
  std::vector<model::Feature> features;
  bins::BinMatrix bins;
  Gradients gradients;

  Column(size_t row_count, size_t cut_count, bool is_category) : features(2) {
    // Of two features the last one, so that there is nothing but padding behind its bins.
    model::Feature& feature = features[1];
    for (size_t i = 0; i < cut_count; ++i) feature.cuts.push_back(double(i));
    if (is_category) {
      feature.cuts.clear();
      feature.kind = table::ColumnKind::categorical;
      feature.categories.resize(cut_count + 1);
    }
    bins = bins::BinMatrix(row_count, features);
    gradients.narrow.resize(row_count);
    const RandomKey key(cut_count + row_count, "partition test");
    for (size_t row = 0; row < row_count; ++row) {
      const uint64_t dice = key.at(row);
      const uint64_t bin = dice % bins.bin_count(1);
      if (bins.bin_bytes() == 1) bins.column<uint8_t>(1)[row] = static_cast<uint8_t>(bin);
      if (bins.bin_bytes() == 2) bins.column<uint16_t>(1)[row] = static_cast<uint16_t>(bin);
      gradients.narrow[row] = {static_cast<int16_t>(dice >> 50), static_cast<uint16_t>(dice >> 40)};
    }
    bins.build_rows();
  }

  bool goes_left(uint32_t row, const Split& split) const {
    const uint32_t bin = bins.bin(row, 1);
    if (bin == 0) return split.missing_left;
    if (features[1].kind == table::ColumnKind::numeric) return bin <= split.bin_last;
    return std::count(split.bins_left.begin(), split.bins_left.end(), bin) > 0;
  }
};

void expect_split(const Column& column, const Split& split, size_t begin, size_t end, int threads) {
  std::vector<uint32_t> sample;
  for (uint32_t row = 0; row < column.bins.row_count(); row += 1 + row % 3) sample.push_back(row);
  end = std::min(end, sample.size());
  std::vector<uint32_t> expected = sample;
  const auto middle =
      std::stable_partition(expected.begin() + static_cast<ptrdiff_t>(begin),
                            expected.begin() + static_cast<ptrdiff_t>(end),
                            [&](uint32_t row) { return column.goes_left(row, split); });
  RowPartition partition;
  partition.start(sample, column.gradients);
  tbb::task_arena arena(threads);
  const size_t left_count = arena.execute([&] {
    return partition.split(begin, end, split, column.bins,
                           column.features[1].kind == table::ColumnKind::numeric);
  });
  ASSERT_EQ(left_count, static_cast<size_t>(middle - expected.begin()) - begin);
  const auto rows = partition.rows(0, sample.size());
  for (size_t i = 0; i < sample.size(); ++i) {
    ASSERT_EQ(rows[i].row, expected[i]) << i;
    ASSERT_EQ(rows[i].gradient.g, column.gradients.narrow[rows[i].row].g);
    ASSERT_EQ(rows[i].gradient.h, column.gradients.narrow[rows[i].row].h);
  }
}

TEST(RowPartition, SplitsAsAStablePartitionDoes) {
  constexpr size_t kAll = ~size_t{0};
  for (const size_t row_count : {size_t{1}, size_t{7}, size_t{8}, size_t{100}, size_t{4000}}) {
    for (const size_t cuts : {1, 14, 254, 300}) {
      for (const bool is_category : {false, true}) {
        const Column column(row_count, cuts, is_category);
        for (const bool missing_left : {false, true}) {
          Split split;
          split.feature = 1;
          split.missing_left = missing_left;
          for (const uint32_t last : {uint32_t{1}, uint32_t(cuts / 2 + 1), uint32_t(cuts + 1)}) {
            split.bin_last = last;
            split.bins_left = {last};
            expect_split(column, split, 0, kAll, 1);
            expect_split(column, split, 0, kAll, 3);
            if (row_count > 100) expect_split(column, split, 13, 1000, 1);
          }
        }
      }
    }
  }
}

TEST(RowPartition, SplitsALargeRunInPartsAsAStablePartitionDoes) {
  for (const bool is_category : {false, true}) {
    const Column column(700'001, 200, is_category);
    Split split;
    split.feature = 1;
    for (const uint32_t last : {1u, 77u, 201u}) {
      split.bin_last = last;
      split.bins_left = {3, last};
      for (const int threads : {1, 2, 5}) {
        expect_split(column, split, 0, ~size_t{0}, threads);
        expect_split(column, split, 1001, 300'003, threads);
      }
    }
  }
}

}  // namespace
}  // namespace evergrove::trees
