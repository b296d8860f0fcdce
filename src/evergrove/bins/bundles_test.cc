// Bundles against a slow twin that looks at every pair of features in every row.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/bundles.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <tbb/task_arena.h>

#include <algorithm>

namespace evergrove::bins {
namespace {

using Columns = std::vector<std::vector<uint8_t>>;

std::vector<Bundle> bundles_of(const Columns& columns, std::span<const uint32_t> bin_counts) {
  BinColumns all(columns[0].size(), columns.size(), 1);
  BinColumns dense = BinColumns::dense(columns[0].size(), columns.size(), 1);
  for (size_t f = 0; f < columns.size(); ++f) {
    all.set<uint8_t>(f, bin_counts[f], columns[f]);
    std::copy(columns[f].begin(), columns[f].end(), dense.column<uint8_t>(f));
  }
  const std::vector<Bundle> bundles = find_bundles(all, bin_counts);
  EXPECT_EQ(find_bundles(dense, bin_counts), bundles);  // whether columns are sparse or not
  return bundles;
}

std::vector<std::vector<uint32_t>> names(const std::vector<Bundle>& bundles) {
  std::vector<std::vector<uint32_t>> all;
  for (const Bundle& bundle : bundles) {
    all.emplace_back();
    for (const Bundle::Member& member : bundle.members) all.back().push_back(member.feature);
  }
  std::sort(all.begin(), all.end());
  return all;
}

// The columns of a category, a flag each (bin 1: no, bin 2: yes).
Columns one_hot(size_t row_count, uint32_t categories) {
  Columns columns(categories, std::vector<uint8_t>(row_count, 1));
  for (size_t row = 0; row < row_count; ++row) columns[row * row % categories][row] = 2;
  return columns;
}

TEST(Bundles, OneHotColumnsAreOne) {
  const Columns columns = one_hot(1'000, 7);
  const std::vector<Bundle> bundles = bundles_of(columns, std::vector<uint32_t>(7, 3));
  // Not all remainders are squares: the columns that are never set take nothing, wherever they are.
  ASSERT_EQ(bundles.size(), 1);
  EXPECT_EQ(bundles[0].members.size(), 7);
  EXPECT_EQ(bundles[0].digit_count(), 1 + 4);
  EXPECT_EQ(bundles[0].members[0].usual_bin, 1);
  EXPECT_EQ(bundles[0].members[0].other_bins, std::vector<uint8_t>{2});
  EXPECT_TRUE(bundles[0].members[3].other_bins.empty());
}

TEST(Bundles, OneRowOfTwoFlagsKeepsThemApart) {
  for (const size_t row : {0, 63, 64, 130, 199}) {
    Columns columns(2, std::vector<uint8_t>(200, 0));
    columns[0][7] = columns[1][9] = 1;
    const std::vector<uint32_t> counts = {2, 2};
    EXPECT_EQ(names(bundles_of(columns, counts)), (std::vector<std::vector<uint32_t>>{{0, 1}}));
    columns[0][row] = columns[1][row] = 1;
    EXPECT_EQ(names(bundles_of(columns, counts)), (std::vector<std::vector<uint32_t>>{{0}, {1}}));
  }
}

TEST(Bundles, LeaveOutFeaturesOfManyBinsAndThoseThatAreMostlyUnusual) {
  Columns columns(3, std::vector<uint8_t>(100, 0));
  for (size_t row = 0; row < 100; ++row) columns[1][row] = static_cast<uint8_t>(row % 4);
  const std::vector<uint32_t> counts = {17, 4, 16};
  EXPECT_EQ(names(bundles_of(columns, counts)), (std::vector<std::vector<uint32_t>>{{1}, {2}}));
}

TEST(Bundles, HaveAsManyValuesAsAByte) {
  const Columns columns = [] {
    Columns flags(400, std::vector<uint8_t>(400, 0));
    for (size_t row = 0; row < 400; ++row) flags[row][row] = 1;
    return flags;
  }();
  const std::vector<Bundle> bundles = bundles_of(columns, std::vector<uint32_t>(400, 2));
  ASSERT_EQ(bundles.size(), 2);
  EXPECT_EQ(bundles[0].digit_count(), 256);
  EXPECT_EQ(bundles[1].digit_count(), 1 + 400 - 255);
}

TEST(Bundles, NoRowsAreNoObstacle) {
  EXPECT_EQ(bundles_of(Columns(3), std::vector<uint32_t>{2, 3, 1}).size(), 1);
}

// All small features are there, once; usual and other bins are all that rows have; members of a
// bundle never meet. Threads do not matter.
RC_GTEST_PROP(Bundles, FitTheRows, ()) {
  const auto row_count = *rc::gen::inRange<size_t>(1, 300);
  const auto counts = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(1, 20)));
  const auto rarity = *rc::gen::inRange<uint32_t>(1, 400);
  Columns columns;
  for (uint32_t count : counts) {
    const auto usual = *rc::gen::inRange<uint32_t>(0, count);
    columns.push_back(*rc::gen::container<std::vector<uint8_t>>(
        row_count, rc::gen::map(rc::gen::inRange<uint32_t>(0, count * rarity), [=](uint32_t dice) {
          return static_cast<uint8_t>(dice < count ? dice : usual);
        })));
  }
  const std::vector<Bundle> bundles = bundles_of(columns, counts);
  std::vector<int> seen(counts.size(), 0);
  for (const Bundle& bundle : bundles) {
    RC_ASSERT(bundle.digit_count() <= 256u);
    std::vector<int> others(row_count, 0);
    for (const Bundle::Member& member : bundle.members) {
      ++seen[member.feature];
      for (size_t row = 0; row < row_count; ++row) {
        const uint8_t bin = columns[member.feature][row];
        if (bin == member.usual_bin) continue;
        ++others[row];
        RC_ASSERT(std::binary_search(member.other_bins.begin(), member.other_bins.end(), bin));
      }
    }
    RC_ASSERT(*std::max_element(others.begin(), others.end()) <= 1 || bundle.members.size() == 1);
  }
  for (size_t f = 0; f < counts.size(); ++f) RC_ASSERT(seen[f] == (counts[f] <= kSharedBinsMax));
  tbb::task_arena one(1);
  RC_ASSERT(one.execute([&] { return bundles_of(columns, counts); }) == bundles);
}

}  // namespace
}  // namespace evergrove::bins
