// Runs that are split beside std::stable_partition, whatever their length, bins and threads.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/row_partition.h"

#include <gtest/gtest.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <numeric>

#include "evergrove/base/hash.h"
#include "evergrove/exact/testing_simd.h"
#include "evergrove/trees/partition_kernel.h"

namespace evergrove::trees {
namespace {

struct Column {
  std::vector<model::Feature> features;
  bins::BinMatrix bins;
  Gradients gradients;

  // sparse_count: of features after the second that are as it is, all of them sparse.
  Column(size_t row_count, size_t cut_count, bool is_category, size_t sparse_count = 0)
      : features(2) {
    // Of two features the last one, so that there is nothing but padding behind its bins.
    model::Feature& feature = features[1];
    for (size_t i = 0; i < cut_count; ++i) feature.cuts.push_back(double(i));
    if (is_category) {
      feature.cuts.clear();
      feature.kind = table::ColumnKind::categorical;
      feature.categories.resize(cut_count + 1);
    }
    features.resize(2 + sparse_count, features[1]);
    bins = bins::BinMatrix(row_count, features);
    if (bins.bin_bytes() == 1) std::fill_n(bins.column<uint8_t>(0), row_count, 0);
    if (bins.bin_bytes() == 2) std::fill_n(bins.column<uint16_t>(0), row_count, 0);
    gradients.narrow.resize(row_count);
    const RandomKey key(cut_count + row_count, "partition test");
    for (size_t row = 0; row < row_count; ++row) {
      const uint64_t dice = key.at(row);
      const bool is_usual = sparse_count > 0 && dice >> 60 != 0;
      const uint64_t bin = is_usual ? 2 : dice % bins.bin_count(1);
      if (bins.bin_bytes() == 1) bins.column<uint8_t>(1)[row] = static_cast<uint8_t>(bin);
      if (bins.bin_bytes() == 2) bins.column<uint16_t>(1)[row] = static_cast<uint16_t>(bin);
      gradients.narrow[row] = {static_cast<int16_t>(dice >> 50), static_cast<uint16_t>(dice >> 40)};
    }
    for (size_t f = 2; f < features.size(); ++f) {
      if (bins.bin_bytes() == 1)
        std::copy_n(bins.column<uint8_t>(1), row_count, bins.column<uint8_t>(f));
      if (bins.bin_bytes() == 2)
        std::copy_n(bins.column<uint16_t>(1), row_count, bins.column<uint16_t>(f));
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

using Rows = std::vector<uint32_t>;

// Their values as it is, and listed.
void expect_rows(const Column& column, RowPartition& partition, const RowRun& run,
                 std::span<const uint32_t> expected) {
  std::vector<int64_t> values(column.bins.row_count(), 7);
  const LeafRows leaf{run, -3};
  partition.add({&leaf, 1}, values);
  ASSERT_EQ(std::count(values.begin(), values.end(), 4), std::ssize(expected));
  for (const uint32_t row : expected) ASSERT_EQ(values[row], 4) << row;
  const auto rows = partition.rows(partition.listed(run));
  ASSERT_EQ(rows.size(), expected.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].row, expected[i]) << i;
    ASSERT_EQ(rows[i].gradient.g, column.gradients.narrow[rows[i].row].g);
    ASSERT_EQ(rows[i].gradient.h, column.gradients.narrow[rows[i].row].h);
  }
}

std::pair<Rows, Rows> split_slowly(const Column& column, const Split& split, Rows rows) {
  const auto middle = std::stable_partition(
      rows.begin(), rows.end(), [&](uint32_t row) { return column.goes_left(row, split); });
  return {{rows.begin(), middle}, {middle, rows.end()}};
}

// Splits the rows, then both children by another split, and looks at all four in the end, so that
// no child may have touched another's rows.
void expect_split(const Column& column, const Split& split, bool of_all, int threads) {
  Rows rows;
  for (uint32_t row = 0; row < column.bins.row_count(); row += of_all ? 1 : 1 + row % 3) {
    rows.push_back(row);
  }
  Split second = split;
  second.bin_last = std::max(1u, split.bin_last / 2);
  second.bins_left = {1, 2};
  second.missing_left = !split.missing_left;
  const bool numeric = column.features[1].kind == table::ColumnKind::numeric;
  RowPartition partition;
  const RowRun root = of_all ? partition.start_all(rows.size(), column.gradients)
                             : partition.start(rows, column.gradients);
  tbb::task_arena arena(threads);
  arena.execute([&] {
    const auto runs = partition.split(root, split, column.bins, numeric);
    const auto expected = split_slowly(column, split, rows);
    expect_rows(column, partition, runs.first, expected.first);
    expect_rows(column, partition, runs.second, expected.second);
    // The one as it is, the other one listed.
    const auto left = partition.split(runs.first, second, column.bins, numeric);
    const auto right = partition.split(partition.listed(runs.second), second, column.bins, numeric);
    const auto expected_left = split_slowly(column, second, expected.first);
    const auto expected_right = split_slowly(column, second, expected.second);
    expect_rows(column, partition, left.first, expected_left.first);
    expect_rows(column, partition, left.second, expected_left.second);
    expect_rows(column, partition, right.first, expected_right.first);
    expect_rows(column, partition, right.second, expected_right.second);
  });
}

TEST(RowPartition, SplitsAsAStablePartitionDoes) {
  for (const size_t row_count : {size_t{1}, size_t{7}, size_t{8}, size_t{100}, size_t{4001}}) {
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
            for (const bool of_all : {false, true}) expect_split(column, split, of_all, 1);
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
        for (const bool of_all : {false, true}) expect_split(column, split, of_all, threads);
      }
    }
  }
}

// Nodes that are bits, listed ones, and those so small that their rows are looked up.
TEST(RowPartition, SplitsBySparseFeaturesAsAStablePartitionDoes) {
  for (const size_t cuts : {100, 300}) {
    for (const bool is_category : {false, true}) {
      const Column column(20'011, cuts, is_category, 60);
      ASSERT_FALSE(column.bins.sparse().empty());
      Split split;
      split.feature = 1;
      for (const uint32_t last : {uint32_t{1}, uint32_t{2}, uint32_t(cuts / 2), uint32_t(cuts)}) {
        split.bin_last = last;
        split.bins_left = {last};
        for (const int threads : {1, 3}) {
          for (const bool of_all : {false, true}) expect_split(column, split, of_all, threads);
        }
      }
    }
  }
}

// Every set of instructions that this machine has.
TEST(RowPartition, DoesTheSameWithAllInstructions) {
  const Column column(3'001, 40, false);
  Split split;
  split.feature = 1;
  split.bin_last = 13;
  exact::with_each_simd([&] {
    for (const bool of_all : {false, true}) expect_split(column, split, of_all, 1);
  });
}

// Of none, few, many and all rows, in each set of instructions.
TEST(RowPartition, ListsRowsOfBitsAndNothingBehindThem) {
  constexpr size_t kFirst = 128, kBehind = 16;
  for (const size_t row_count : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{5'000}}) {
    std::vector<NarrowGradient> gradients(kFirst + row_count);
    for (size_t i = 0; i < gradients.size(); ++i) {
      gradients[i] = {static_cast<int16_t>(-i), static_cast<uint16_t>(3 * i)};
    }
    for (const size_t of_64 : {0, 1, 5, 9, 40, 64}) {
      const RandomKey key(row_count + of_64, "lists rows");
      std::vector<uint64_t> bits((row_count + 63) / 64);
      Rows expected;
      for (size_t i = 0; i < row_count; ++i) {
        if (key.at(i) % 64 >= of_64) continue;
        bits[i / 64] |= uint64_t{1} << (i % 64);
        expected.push_back(static_cast<uint32_t>(kFirst + i));
      }
      exact::with_each_simd([&] {
        std::vector<TreeRow> listed(expected.size() + kBehind, TreeRow{77, {7, 7}});
        TreeRow* const end = listed.data() + expected.size();
        ASSERT_EQ(list_rows(bits.data(), kFirst, row_count, gradients.data(), listed.data(), end),
                  end);
        for (size_t i = 0; i < listed.size(); ++i) {
          const uint32_t row = i < expected.size() ? expected[i] : 77;
          ASSERT_EQ(listed[i].row, row) << i << " of " << expected.size();
          if (i >= expected.size()) continue;
          ASSERT_EQ(listed[i].gradient.g, gradients[row].g);
          ASSERT_EQ(listed[i].gradient.h, gradients[row].h);
        }
      });
    }
  }
}

TEST(RowPartition, WritesDownAllRowsWhenAsked) {
  const Column column(1'000, 3, false);
  RowPartition partition;
  const RowRun root = partition.start_all(1'000, column.gradients);
  ASSERT_FALSE(root.is_listed);
  Rows all(1'000);
  std::iota(all.begin(), all.end(), 0u);
  expect_rows(column, partition, partition.listed(root), all);
}

TEST(RowPartition, WideGradientsStayWhereTheyAre) {
  Column column(1'000, 3, false);
  column.gradients.wide = true;
  Split split;
  split.feature = 1;
  split.bin_last = 2;
  RowPartition partition;
  const RowRun root = partition.start_all(1'000, column.gradients);
  const auto runs = partition.split(root, split, column.bins, true);
  Rows all(1'000);
  std::iota(all.begin(), all.end(), 0u);
  const auto expected = split_slowly(column, split, all);
  const auto lefts = partition.rows(partition.listed(runs.first));
  ASSERT_EQ(lefts.size(), expected.first.size());
  for (size_t i = 0; i < lefts.size(); ++i) {
    ASSERT_EQ(lefts[i].row, expected.first[i]);
    ASSERT_EQ(lefts[i].gradient.g, 0);
  }
}

}  // namespace
}  // namespace evergrove::trees
