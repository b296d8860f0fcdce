// Rankings of parts are the ranking of the whole, over the wire too. (Their values are tested
// against slow twins in metrics_test.cc.)
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/ranking.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "evergrove/base/hash.h"
#include "evergrove/train/rows_to_rank.h"

namespace evergrove::train {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

struct Rows {
  std::vector<int64_t> margins;
  std::vector<uint16_t> classes;
  std::vector<float> weights;

  Ranking ranking(double weight_max = 0) const { return {margins, classes, weights, weight_max}; }
};

std::string bytes_of(const Ranking& ranking) {
  ByteWriter out;
  ranking.encode(out);
  return out.take();
}
Result<Ranking> ranking_of(std::string_view bytes) {
  ByteReader in(bytes);
  return Ranking::decode(in);
}

// All values, as bits: NaN equals NaN.
std::vector<uint64_t> values_of(const Ranking& ranking) {
  std::vector<uint64_t> bits;
  for (double value :
       {ranking.auc(), ranking.average_precision(), ranking.precision_at(3), ranking.recall_at(3),
        ranking.precision_at(1'000'000), ranking.recall_at(1'000'000)}) {
    bits.push_back(std::bit_cast<uint64_t>(value));
  }
  return bits;
}

Rows arbitrary_rows() {
  Rows rows;
  const int64_t distinct = *rc::gen::inRange(1, 40);
  const int64_t step = *rc::gen::element<int64_t>(1, 1000, int64_t{1} << 40, int64_t{1} << 58);
  const bool weighted = *rc::gen::arbitrary<bool>();
  const auto count = *rc::gen::inRange(0, 60);
  for (int i = 0; i < count; ++i) {
    // Wraps around, so that some margins are near either end.
    rows.margins.push_back(static_cast<int64_t>(
        static_cast<uint64_t>(*rc::gen::inRange<int64_t>(0, distinct) - distinct / 2) *
        static_cast<uint64_t>(step)));
    if (*rc::gen::inRange(0, 20) == 0) {
      rows.margins.back() = *rc::gen::element(kLowest, kHighest, kLowest + 1, int64_t{0});
    }
    rows.classes.push_back(*rc::gen::element<uint16_t>(0, 1));
    if (weighted) {
      rows.weights.push_back(static_cast<float>(*rc::gen::inRange(0, 30)) / 7);
    }
  }
  return rows;
}

RC_GTEST_PROP(Ranking, PartsMergedInAnyOrderAreTheWhole, ()) {
  const Rows rows = arbitrary_rows();
  const RandomKey key(*rc::gen::arbitrary<uint64_t>(), "part");
  std::vector<Rows> parts(*rc::gen::inRange<size_t>(1, 6));
  for (size_t i = 0; i < rows.margins.size(); ++i) {
    Rows& part = parts[key.at(i) % parts.size()];
    part.margins.push_back(rows.margins[i]);
    part.classes.push_back(rows.classes[i]);
    if (!rows.weights.empty()) part.weights.push_back(rows.weights[i]);
  }
  const double weight_max =
      rows.weights.empty() ? 0 : *std::max_element(rows.weights.begin(), rows.weights.end());
  Ranking merged;
  for (const Rows& part : parts) {
    const auto read = ranking_of(bytes_of(part.ranking(weight_max)));
    RC_ASSERT(read.ok());
    RC_ASSERT(merged.merge(*read).ok());
  }
  const Ranking whole = rows.ranking();
  RC_ASSERT(bytes_of(merged) == bytes_of(whole));
  RC_ASSERT(values_of(merged) == values_of(whole));
}

RC_GTEST_PROP(RowsToRank, GatheredFromPartsAreTheWhole, ()) {
  const Rows rows = arbitrary_rows();
  const double weight_max =
      rows.weights.empty() ? 0 : *std::max_element(rows.weights.begin(), rows.weights.end());
  MarginWindow window;
  if (*rc::gen::arbitrary<bool>() && !rows.margins.empty()) {
    window.low = *rc::gen::elementOf(rows.margins);
    window.high = std::max(window.low, *rc::gen::elementOf(rows.margins));
  }
  Rows inside;
  for (size_t i = 0; i < rows.margins.size(); ++i) {
    if (rows.margins[i] < window.low || rows.margins[i] > window.high) continue;
    inside.margins.push_back(rows.margins[i]);
    inside.classes.push_back(rows.classes[i]);
    if (!rows.weights.empty()) inside.weights.push_back(rows.weights[i]);
  }
  RowsToRank all(!rows.weights.empty(), weight_max, window, *rc::gen::inRange<uint64_t>(1, 300));
  for (size_t first = 0; first < rows.margins.size();) {
    const size_t count = std::min(rows.margins.size() - first,
                                  *rc::gen::inRange<size_t>(1, rows.margins.size() + 1));
    const auto of_part = [&](const auto& values) {
      std::span all_values(values);
      return values.empty() ? all_values : all_values.subspan(first, count);
    };
    RowsToRank part = all.part();
    RowsToRank& to = *rc::gen::arbitrary<bool>() ? part : all;
    RC_ASSERT(to.add(of_part(rows.margins), of_part(rows.classes), of_part(rows.weights)).ok());
    RC_ASSERT(all.merge(part).ok());
    first += count;
  }
  const auto ranking = std::move(all).rank();
  RC_ASSERT(ranking.ok());
  const Ranking whole = inside.ranking(weight_max);
  if (!inside.margins.empty()) RC_ASSERT(bytes_of(*ranking) == bytes_of(whole));
  RC_ASSERT(values_of(*ranking) == values_of(whole));
}

RC_GTEST_PROP(Ranking, WindowsOneAfterAnotherSayWhatTheWholeSays, ()) {
  Rows rows;
  const auto row_count = *rc::gen::inRange<size_t>(0, 300);
  const auto range = *rc::gen::element<int64_t>(3, 50, 1 << 20);
  const bool weighted = *rc::gen::arbitrary<bool>();
  for (size_t i = 0; i < row_count; ++i) {
    rows.margins.push_back(*rc::gen::inRange<int64_t>(-range, range));
    rows.classes.push_back(*rc::gen::inRange<uint16_t>(0, 2));
    if (weighted) rows.weights.push_back(static_cast<float>(*rc::gen::inRange(0, 9)) / 4);
  }
  const auto sample =
      *rc::gen::container<std::vector<int64_t>>(rc::gen::inRange<int64_t>(-range, range));
  const std::vector<MarginWindow> windows =
      margin_windows(sample, row_count, *rc::gen::inRange<uint64_t>(1, 100));
  RC_ASSERT(windows.front().high == std::numeric_limits<int64_t>::max());
  RC_ASSERT(windows.back().low == std::numeric_limits<int64_t>::min());
  constexpr uint64_t kCutoffs[] = {1, 7, 100, 1000};
  RankingWalk walk(kCutoffs);
  for (size_t i = 0; i < windows.size(); ++i) {
    if (i > 0) RC_ASSERT(windows[i].high == windows[i - 1].low - 1);
    RowsToRank inside(weighted, weighted ? 2.0 : 0.0, windows[i]);
    RC_ASSERT(inside.add(rows.margins, rows.classes, rows.weights).ok());
    const auto ranking = std::move(inside).rank();
    RC_ASSERT(ranking.ok());
    walk.add(*ranking);
  }
  const Ranking whole(rows.margins, rows.classes, rows.weights, weighted ? 2.0 : 0.0);
  const auto same = [](double a, double b) {
    return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
  };
  RC_ASSERT(same(walk.auc(), whole.auc()));
  RC_ASSERT(same(walk.average_precision(), whole.average_precision()));
  for (const uint64_t cutoff : kCutoffs) {
    RC_ASSERT(same(walk.precision_at(cutoff), whole.precision_at(cutoff)));
    RC_ASSERT(same(walk.recall_at(cutoff), whole.recall_at(cutoff)));
  }
}

TEST(Ranking, TakesAboutThreeBytesARowWhereRowsAreMany) {
  Rows rows;
  const RandomKey key(3, "margins");
  for (uint64_t i = 0; i < 100'000; ++i) {
    rows.margins.push_back(static_cast<int64_t>(key.at(i) >> 31));  // about 2^33
    rows.classes.push_back(static_cast<uint16_t>(key.at(i) & 1));
  }
  EXPECT_LT(bytes_of(rows.ranking()).size(), 310'000u);
  for (int64_t& margin : rows.margins) margin %= 100;
  EXPECT_LT(bytes_of(rows.ranking()).size(), 700u);  // groups, not rows
}

TEST(Ranking, OfOtherWeightsIsNotAdded) {
  const Rows light{{1, 2}, {0, 1}, {}};
  const Rows heavy{{1, 2}, {0, 1}, {1, 3}};
  Ranking ranking = light.ranking();
  EXPECT_FALSE(ranking.merge(heavy.ranking()).ok());
  EXPECT_EQ(bytes_of(ranking), bytes_of(light.ranking()));
  ranking = heavy.ranking();
  const Status status = ranking.merge(heavy.ranking(4));
  EXPECT_NE(status.message().find("largest weight"), std::string::npos) << status.message();
  EXPECT_TRUE(ranking.merge(heavy.ranking(3)).ok());
  EXPECT_TRUE(ranking.merge(Ranking()).ok());
  EXPECT_TRUE(ranking.merge(ranking).ok());
  EXPECT_EQ(ranking.auc(), 1);
}

// One group at the top, with the counts and weights given.
std::string group_bytes(uint64_t positives, uint64_t negatives) {
  ByteWriter out;
  out.u8(0).f64(0).u32(1).varint(2).varint(positives).varint(negatives);
  return out.take();
}

TEST(Ranking, OfMoreThanItCanCountIsNotAdded) {
  const auto half = ranking_of(group_bytes(1u << 31, 0));
  ASSERT_TRUE(half.ok());
  Ranking sum = *half;
  const Status status = sum.merge(*half);
  EXPECT_NE(status.message().find("too many"), std::string::npos) << status.message();
  EXPECT_TRUE(ranking_of(group_bytes(0xffffffff, 0)).ok());
  EXPECT_FALSE(ranking_of(group_bytes(0xffffffff, 1)).ok());
  EXPECT_FALSE(ranking_of(group_bytes(~uint64_t{0}, ~uint64_t{0})).ok());
  EXPECT_FALSE(ranking_of(group_bytes(0, 0)).ok());
}

TEST(Ranking, BytesThatMakeNoSenseAreRefused) {
  const std::string good = bytes_of(Rows{{5, -7, 5, 90}, {0, 1, 1, 0}, {1, 2, 3, 4}}.ranking());
  ASSERT_TRUE(ranking_of(good).ok());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ranking_of(std::string_view(good).substr(0, size)).ok()) << size;
  }
  const auto refused = [](uint8_t flag, double weight_max, uint32_t count, auto... varints) {
    ByteWriter out;
    out.u8(flag).f64(weight_max).u32(count);
    (out.varint(varints), ...);
    return !ranking_of(out.bytes()).ok();
  };
  EXPECT_FALSE(refused(0, 0, 0));
  EXPECT_TRUE(refused(2, 1, 1, 1u, 1u));                        // an unknown flag
  EXPECT_TRUE(refused(0, 1, 1, 1u));                            // a largest weight of none
  EXPECT_TRUE(refused(1, -1, 1, 1u, 1u));                       // below 0
  EXPECT_TRUE(refused(1, std::nan(""), 1, 1u, 1u));             // not a number
  EXPECT_TRUE(refused(1, 1, 0));                                // weights without rows
  EXPECT_FALSE(refused(1, 1, 1, 1u, 1u << 30));                 // the largest weight
  EXPECT_TRUE(refused(1, 1, 1, 1u, (1u << 30) + 1));            // above the largest
  EXPECT_TRUE(refused(0, 0, 0xffffffff, 1u));                   // rows that are not there
  EXPECT_FALSE(refused(0, 0, 1, 3u, ~uint64_t{0}, 1u, 0u));     // the lowest margin
  EXPECT_TRUE(refused(0, 0, 2, 3u, ~uint64_t{0}, 1u, 0u, 1u));  // and one below it
}

RC_GTEST_PROP(Ranking, AnyBytesGiveARankingOrAnError, ()) {
  std::string bytes = bytes_of(arbitrary_rows().ranking());
  const auto changes = *rc::gen::inRange(0, 4);
  for (int i = 0; i < changes; ++i) {
    bytes[*rc::gen::inRange<size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
  }
  const auto ranking = ranking_of(bytes);
  if (!ranking.ok()) return;
  const auto again = ranking_of(bytes_of(*ranking));
  RC_ASSERT(again.ok());
  RC_ASSERT(values_of(*again) == values_of(*ranking));
  Ranking twice = *ranking;
  (void)twice.merge(*again);
}

}  // namespace
}  // namespace evergrove::train
