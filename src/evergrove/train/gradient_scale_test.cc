// Facts, tallies and scales as values and as bytes, and gradients made shard by shard: rows cut
// into random segments over several makers have the bits of one maker.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/gradient_scale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "evergrove/train/gradient_maker.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

struct Rows {
  RunHeader header;
  Dataset data;
  std::vector<int64_t> margins;  // output by output

  size_t outputs() const { return header.base_margins.size(); }
  size_t count() const { return margins.size() / outputs(); }
  ObjectiveKind objective() const { return header.parameters.objective; }
  WeightFacts facts() const {
    return WeightFacts::of(header.parameters, data.classes, data.weights, count());
  }
  // Appends the rows of a segment.
  void add(const Rows& from, RowSegment segment) {
    const auto copy = [&](auto& to, const auto& all) {
      if (all.empty()) return;
      const auto first = all.begin() + static_cast<ptrdiff_t>(segment.first_row);
      to.insert(to.end(), first, first + static_cast<ptrdiff_t>(segment.row_count));
    };
    copy(data.classes, from.data.classes);
    copy(data.targets, from.data.targets);
    copy(data.weights, from.data.weights);
    std::vector<int64_t> longer;
    const size_t before = count();
    for (size_t k = 0; k < outputs(); ++k) {
      const auto own = margins.begin() + static_cast<ptrdiff_t>(k * before);
      longer.insert(longer.end(), own, own + static_cast<ptrdiff_t>(before));
      const auto first =
          from.margins.begin() + static_cast<ptrdiff_t>(k * from.count() + segment.first_row);
      longer.insert(longer.end(), first, first + static_cast<ptrdiff_t>(segment.row_count));
    }
    margins = std::move(longer);
    data.segments.push_back(segment);
  }
};

struct Shape {
  ObjectiveKind objective = ObjectiveKind::binary;
  bool has_weights = false;
  double scale_pos_weight = 1;
};

Rows random_rows(const Shape& shape, size_t count, std::mt19937_64& random) {
  Rows rows;
  rows.header.parameters.objective = shape.objective;
  rows.header.parameters.scale_pos_weight = shape.scale_pos_weight;
  rows.header.parameters.seed = random();
  rows.header.base_margins.resize(shape.objective == ObjectiveKind::multiclass ? 5 : 1);
  std::normal_distribution<double> normal;
  for (size_t i = 0; i < count * rows.outputs(); ++i) {
    rows.margins.push_back(static_cast<int64_t>(std::ldexp(2 * normal(random), 32)));
  }
  for (size_t row = 0; row < count; ++row) {
    if (shape.objective == ObjectiveKind::regression) {
      rows.data.targets.push_back(std::exp(normal(random)));
    } else {
      rows.data.classes.push_back(
          static_cast<uint16_t>(random() % std::max<size_t>(2, rows.outputs())));
    }
    if (shape.has_weights) {
      rows.data.weights.push_back(static_cast<float>(std::exp(0.5 * normal(random))));
    }
  }
  return rows;
}

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const ObjectiveKind objective :
       {ObjectiveKind::binary, ObjectiveKind::multiclass, ObjectiveKind::regression}) {
    for (const bool has_weights : {false, true}) {
      for (const double scale_pos_weight : {1.0, 7.5}) {
        all.push_back({objective, has_weights, scale_pos_weight});
      }
    }
  }
  return all;
}

// Some workers, the last of them without rows, that hold all rows in segments dealt at random.
std::vector<Rows> deal(const Rows& all, std::mt19937_64& random) {
  std::vector<RowSegment> segments;
  for (size_t first = 0; first < all.count();) {
    const size_t size = std::min<size_t>(1 + random() % 1500, all.count() - first);
    segments.push_back({.first_row = first, .row_count = size});
    first += size;
  }
  std::shuffle(segments.begin(), segments.end(), random);
  std::vector<Rows> workers(4);
  for (Rows& worker : workers) worker.header = all.header;
  for (size_t i = 0; i < segments.size(); ++i) workers[random() % 3].add(all, segments[i]);
  // No segments would mean all rows.
  for (Rows& worker : workers) worker.data.segments.push_back({.first_row = 5, .row_count = 0});
  return workers;
}

template <typename Pair>
void expect_same_pairs(const LargeVector<Pair>& all, const LargeVector<Pair>& some,
                       std::span<const RowSegment> segments) {
  size_t first = 0;
  for (const RowSegment& segment : segments) {
    if (all.empty() || segment.row_count == 0) continue;
    ASSERT_LE(first + segment.row_count, some.size());
    EXPECT_EQ(std::memcmp(all.data() + segment.first_row, some.data() + first,
                          segment.row_count * sizeof(Pair)),
              0)
        << "rows from " << segment.first_row;
    first += segment.row_count;
  }
  EXPECT_EQ(first, some.size());
}

TEST(GradientShards, HaveTheBitsOfAllRowsAtOnce) {
  for (const Shape& shape : shapes()) {
    const uint64_t seed = 100 * static_cast<uint64_t>(shape.objective) + shape.has_weights;
    SCOPED_TRACE(testing::Message()
                 << "seed " << seed << ", scale_pos_weight " << shape.scale_pos_weight);
    std::mt19937_64 random(seed);
    const Rows all = random_rows(shape, 9'001, random);
    const std::vector<Rows> workers = deal(all, random);
    const WeightFacts facts = all.facts();
    GradientMaker whole(all.header, facts, all.data);
    std::vector<GradientMaker> makers;
    double largest = 0;
    for (const Rows& worker : workers) {
      makers.emplace_back(worker.header, facts, worker.data);
      largest = std::max(largest, makers.back().largest(worker.margins));
    }
    EXPECT_EQ(largest, whole.largest(all.margins));
    EXPECT_EQ(largest > 0, shape.objective == ObjectiveKind::regression);
    const uint64_t iteration = random() % 1000;
    for (const bool wide : {false, true}) {
      GradientScale scale = scale_to_try(shape.objective, facts, largest, wide);
      for (uint32_t output = 0; output < all.outputs(); ++output) {
        trees::Gradients expected;
        const RoundingTally expected_tally =
            whole.make(iteration, output, all.margins, scale, expected);
        RoundingTally tally;
        for (size_t i = 0; i < workers.size(); ++i) {
          trees::Gradients gradients;
          tally = tally + makers[i].make(iteration, output, workers[i].margins, scale, gradients);
          EXPECT_EQ(gradients.wide, wide);
          EXPECT_EQ(gradients.g_unit, expected.g_unit);
          EXPECT_EQ(gradients.h_unit, expected.h_unit);
          const auto& segments = workers[i].data.segments;
          expect_same_pairs(expected.narrow, gradients.narrow, segments);
          expect_same_pairs(expected.wide_pairs, gradients.wide_pairs, segments);
        }
        EXPECT_EQ(tally, expected_tally);

        // One machine decides what the merged tally does.
        std::vector<trees::Gradients> outs(all.outputs());
        whole.make_alone(iteration, all.margins, outs);
        const trees::Gradients& alone = outs[output];
        EXPECT_EQ(alone.wide, should_be_wide(shape.objective, facts, tally));
        if (alone.wide == wide) {
          EXPECT_EQ(alone.g_unit, expected.g_unit);
          EXPECT_EQ(alone.h_unit, expected.h_unit);
          expect_same_pairs(expected.narrow, alone.narrow,
                            {{{.first_row = 0, .row_count = 9'001}}});
        }
      }
    }
  }
}

// Rows of equal labels and margins differ by the hash of their place alone.
TEST(GradientShards, RoundByThePlaceAmongAllRows) {
  Rows rows;
  rows.header.base_margins.resize(1);
  rows.margins.assign(2'000, int64_t{1} << 31);
  rows.data.classes.assign(2'000, 1);
  const auto make = [&](uint64_t first_row) {
    rows.data.segments = {{.first_row = first_row, .row_count = 2'000}};
    trees::Gradients out;
    GradientMaker(rows.header, rows.facts(), rows.data).make(0, 0, rows.margins, {}, out);
    return out.narrow;
  };
  const uint64_t far = (uint64_t{1} << 40) + 3;
  const auto near_rows = make(0);
  const auto far_rows = make(far);
  const auto next_rows = make(far + 1'000);
  EXPECT_NE(std::memcmp(near_rows.data(), far_rows.data(), 1'000 * 4), 0);
  EXPECT_EQ(std::memcmp(far_rows.data() + 1'000, next_rows.data(), 1'000 * 4), 0);
}

TEST(GradientShards, SegmentsThatAreNotTheRowsAreOurOwnBug) {
  Rows rows;
  rows.header.base_margins.resize(1);
  rows.data.classes.assign(10, 1);
  rows.data.segments = {{.first_row = 0, .row_count = 9}};
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(GradientMaker(rows.header, {}, rows.data), "first == row_count_");
}

TEST(WeightFacts, CountWeightsAboveZeroAgainstTheLargest) {
  Parameters parameters;
  const std::vector<uint16_t> classes = {0, 1, 0, 1};
  EXPECT_EQ(WeightFacts::of(parameters, classes, {}, 4), (WeightFacts{1, 4, true}));
  parameters.scale_pos_weight = 3;
  EXPECT_EQ(WeightFacts::of(parameters, classes, {}, 4), (WeightFacts{3, 4, true}));
  EXPECT_EQ(WeightFacts::of(parameters, classes, std::vector<float>{0, 2, 4, 0}, 4),
            (WeightFacts{6, 2, true}));
  EXPECT_EQ(WeightFacts::of(parameters, classes, std::vector<float>{1, 1, 1, 100}, 4),
            (WeightFacts{300, 4, false}));
  EXPECT_EQ(WeightFacts::of(parameters, classes, std::vector<float>(4, 0), 4),
            (WeightFacts{1, 0, true}));
  parameters.objective = ObjectiveKind::regression;  // has no positive rows
  EXPECT_EQ(WeightFacts::of(parameters, {}, {}, 4), (WeightFacts{1, 4, true}));
}

TEST(GradientScale, IsWideForUnevenWeightsAndBoundsRegressionOnly) {
  const WeightFacts even{2, 10, true};
  const WeightFacts uneven{2, 10, false};
  EXPECT_EQ(scale_to_try(ObjectiveKind::binary, even, 0, false), (GradientScale{false, 1}));
  EXPECT_EQ(scale_to_try(ObjectiveKind::binary, even, 0, true), (GradientScale{true, 1}));
  EXPECT_EQ(scale_to_try(ObjectiveKind::regression, uneven, 5, false), (GradientScale{true, 5}));
  EXPECT_EQ(scale_to_try(ObjectiveKind::regression, even, 0, false), (GradientScale{false, 1}));
  EXPECT_EQ(scale_to_try(ObjectiveKind::regression, even, 1e-305, false),
            (GradientScale{false, 1}));
  const RoundingTally large{1 << 20, 1 << 20, 5};
  EXPECT_TRUE(should_be_wide(ObjectiveKind::binary, uneven, large));
  EXPECT_FALSE(should_be_wide(ObjectiveKind::binary, even, large));
  EXPECT_TRUE(should_be_wide(ObjectiveKind::binary, even, {1023, 1 << 20, 5}));
  EXPECT_TRUE(should_be_wide(ObjectiveKind::binary, even, {}));
  EXPECT_FALSE(should_be_wide(ObjectiveKind::regression, even, {0, 0, 5}));
  EXPECT_TRUE(should_be_wide(ObjectiveKind::regression, even, {0, 0, 4}));
}

template <typename Value>
std::string bytes_of(const Value& value) {
  ByteWriter out;
  value.encode(out);
  return out.take();
}

// A value is itself again after encoding, and every shorter text is refused.
template <typename Value>
void expect_round_trip(const Value& value) {
  const std::string bytes = bytes_of(value);
  ByteReader in(bytes);
  const Result<Value> decoded = Value::decode(in);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, value);
  EXPECT_TRUE(in.at_end());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader cut(std::string_view(bytes).substr(0, size));
    EXPECT_EQ(Value::decode(cut).status().kind(), StatusKind::corrupt) << size << " bytes";
  }
}

template <typename Value>
void expect_refused(const Value& value) {
  const std::string bytes = bytes_of(value);
  ByteReader in(bytes);
  EXPECT_EQ(Value::decode(in).status().kind(), StatusKind::corrupt);
}

TEST(GradientScale, FactsTalliesAndScalesAreTheSameAfterTheirBytes) {
  expect_round_trip(WeightFacts{});
  expect_round_trip(WeightFacts{3.4e38 * 1e9, ~uint64_t{0}, false});
  expect_round_trip(RoundingTally{1, uint64_t{1} << 63, 3});
  expect_round_trip(GradientScale{});
  expect_round_trip(GradientScale{true, kGradientMax});
  expect_round_trip(GradientScale{false, 1e-300});
}

TEST(GradientScale, BytesThatNoRunCanHaveSentAreRefused) {
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()}) {
    expect_refused(WeightFacts{bad, 1, true});
    expect_refused(GradientScale{false, bad});
  }
  expect_refused(GradientScale{false, 0x1p1001});
  expect_refused(GradientScale{false, 0x1p-1000});
  std::string bytes = bytes_of(GradientScale{});
  bytes[0] = 2;
  ByteReader scale(bytes);
  EXPECT_FALSE(GradientScale::decode(scale).ok());
  bytes = bytes_of(WeightFacts{});
  bytes.back() = 2;
  ByteReader facts(bytes);
  EXPECT_FALSE(WeightFacts::decode(facts).ok());
}

}  // namespace
}  // namespace evergrove::train
