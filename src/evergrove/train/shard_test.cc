// Whoever reads which shards: together they have the rows of prepare(), each once and in its place;
// and what is no shard of this data is refused.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "evergrove/train/testing_run.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

constexpr ObjectiveKind kObjectives[] = {ObjectiveKind::binary, ObjectiveKind::multiclass,
                                         ObjectiveKind::regression};

// All that is known of one row.
struct Row {
  std::vector<uint32_t> bins;
  std::vector<double> values;  // class, target, weight: those that the set has
  bool operator==(const Row&) const = default;
};

// Adds a set's rows by their places; `has_columns`: bins are in both orders, and the same.
void add_rows(const Dataset& data, bool has_columns, std::map<uint64_t, Row>& to) {
  for (const auto size : {data.classes.size(), data.targets.size(), data.weights.size()}) {
    EXPECT_TRUE(size == 0 || size == data.row_count());
  }
  std::vector<RowSegment> segments = data.segments;
  if (segments.empty()) segments = {{0, data.row_count()}};
  size_t row = 0;
  for (const RowSegment& segment : segments) {
    for (size_t i = 0; i < segment.row_count; ++i, ++row) {
      Row known;
      for (size_t f = 0; f < data.bins.feature_count(); ++f) {
        known.bins.push_back(data.bins.bin(row, f));
        if (has_columns) {
          EXPECT_EQ(data.bins.column<uint8_t>(f)[row], known.bins.back());
        }
      }
      if (!data.classes.empty()) known.values.push_back(data.classes[row]);
      if (!data.targets.empty()) known.values.push_back(data.targets[row]);
      if (!data.weights.empty()) known.values.push_back(data.weights[row]);
      const bool is_new = to.emplace(segment.first_row + i, known).second;
      EXPECT_TRUE(is_new) << "row " << segment.first_row + i << " is there twice";
    }
  }
  EXPECT_EQ(row, data.row_count());
}

std::vector<std::map<uint64_t, Row>> rows_of(std::span<const TrainingData> parts) {
  std::vector<std::map<uint64_t, Row>> sets(1 + parts[0].valid.size());
  for (const TrainingData& part : parts) {
    EXPECT_EQ(part.valid.size() + 1, sets.size());
    add_rows(part.train, true, sets[0]);
    for (size_t i = 0; i < part.valid.size(); ++i) add_rows(part.valid[i], false, sets[i + 1]);
  }
  return sets;
}

// Shapes that vary everything by the seed.
TestingShape shape_of(uint64_t seed) {
  const RandomKey key(seed, "shape");
  return {.objective = kObjectives[seed % 3],
          .row_count = 300 + key.at(0) % 700,
          .block_rows = 1 + key.at(1) % 90,
          .weighted = key.at(2) % 2 == 0,
          .valid_fraction = key.at(3) % 2 == 0 ? 0 : 0.25,
          .has_valid_source = key.at(4) % 2 == 0,
          .seed = seed};
}

TEST(MemoryOfAShard, GrowsWithRowsFeaturesAndOutputs) {
  const TestingRun run({.weighted = false});
  RunHeader header = run.description().header;
  ASSERT_EQ(header.features.size(), 3u);
  Shard shard;
  shard.row_count = 10;
  // 2 * (3 + 4) of bins, a class, 16 + 8 of margins and gradients, 18.
  EXPECT_EQ(memory_bytes(shard, header), 10 * (14 + 2 + 24 + 18));
  header.weight = "w";
  header.base_margins.resize(3);
  EXPECT_EQ(memory_bytes(shard, header), 10 * (14 + 2 + 4 + 3 * 24 + 16 + 18));
  for (int i = 0; i < 300; ++i) header.features[0].cuts.push_back(1000 + i);
  header.parameters.objective = ObjectiveKind::regression;
  header.base_margins.resize(1);
  EXPECT_EQ(memory_bytes(shard, header), 10 * (28 + 8 + 4 + 24 + 18));
}

TEST(ReadShards, OfAnyPartitionGiveTheRowsOfPrepare) {
  for (uint64_t seed = 0; seed < 24; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const TestingRun run(shape_of(seed));
    std::vector<TrainingData> whole;
    PreparedData prepared = run.prepared();
    whole.push_back(std::move(prepared.data));
    const auto expected = rows_of(whole);

    for (const auto& source : run.sources) source->may_ask_manifest = false;
    const RunHeader& header = prepared.header;
    const auto shards = make_shards(run.spec, header.parameters.seed, 1 + seed * 11);
    std::vector<TrainingData> parts;
    for (const auto& hand : deal(shards, 1 + seed % 7, seed)) {
      parts.push_back(run.read(header, hand));
      EXPECT_EQ(parts.back().train.name, "train");
      for (size_t i = 0; i < header.valid_names.size(); ++i) {
        EXPECT_EQ(parts.back().valid[i].name, header.valid_names[i]);
      }
    }
    EXPECT_EQ(rows_of(parts), expected);
    for (const TrainingData& part : parts) {
      EXPECT_EQ(part.train.bins.feature_count(), header.features.size());
    }
  }
}

TEST(ReadShards, ReadsNothingElse) {
  TestingRun run({.row_count = 500, .block_rows = 10});
  const RunHeader header = run.description().header;
  run = TestingRun({.row_count = 500, .block_rows = 10});  // has read nothing yet
  for (const auto& source : run.sources) source->may_ask_manifest = false;
  const auto shards = make_shards(run.spec, header.parameters.seed, 40);
  const Shard last = shards.back();
  ASSERT_EQ(last.set, 1u);
  const TrainingData data = run.read(header, std::vector<Shard>{shards[2], last});
  EXPECT_EQ(run.sources[0]->blocks_read(), (std::set<size_t>{8, 9, 10, 11}));
  EXPECT_EQ(*run.sources[1]->blocks_read().begin(), last.first_block);
  EXPECT_EQ(run.sources[1]->blocks_read().size(), last.block_count);
  EXPECT_EQ(data.train.row_count() + data.valid[0].row_count(), 40u);
  EXPECT_EQ(data.valid[1].row_count(), last.row_count);
}

TEST(ReadShards, OfNothingIsEverySetWithoutRows) {
  for (const ObjectiveKind objective : kObjectives) {
    const TestingRun run({.objective = objective});
    const TrainingData data = run.read(run.description().header, {});
    EXPECT_EQ(data.train.row_count(), 0u);
    ASSERT_EQ(data.valid.size(), 2u);
    for (const Dataset& set : data.valid) EXPECT_EQ(set.row_count(), 0u);
    EXPECT_EQ(data.train.bins.feature_count(), 3u);
  }
}

TEST(Describe, GivesTheHeaderOfPrepareAndTheFactsOfItsRows) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const TestingRun run(shape_of(seed));
    const PreparedData prepared = run.prepared();
    const RunDescription run_description = run.description();
    EXPECT_EQ(encode_header(run_description.header), encode_header(prepared.header));
    const Dataset& train = prepared.data.train;
    EXPECT_EQ(run_description.weight_facts,
              WeightFacts::of(prepared.header.parameters, train.classes, train.weights,
                              train.row_count()));
    const auto largest = [](const Dataset& data) {
      double result = 0;
      for (float weight : data.weights) result = std::max(result, double{weight});
      return result;
    };
    EXPECT_EQ(run_description.training_weight_max, largest(train));
    ASSERT_EQ(run_description.weight_max_by_set.size(), prepared.data.valid.size());
    for (size_t i = 0; i < prepared.data.valid.size(); ++i) {
      EXPECT_EQ(run_description.weight_max_by_set[i], largest(prepared.data.valid[i]));
    }
    // Known features are taken as they are, whatever else would be found.
    Parameters other = run.parameters;
    other.max_bins = 5;
    const auto again = describe(run.spec, other, &prepared.header, nullptr);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(again->header.features[0].cuts, prepared.header.features[0].cuts);
    EXPECT_EQ(again->weight_facts, run_description.weight_facts);
  }
}

TEST(Describe, RefusesBadDataWithTheWordsOfPrepare) {
  for (TestingShape shape : {TestingShape{.bad_label_row = 777}, TestingShape{.bad_weight_row = 3},
                             TestingShape{.row_count = 0}, TestingShape{.valid_fraction = 1e-9}}) {
    const TestingRun run(shape);
    const auto prepared = prepare(run.spec, run.parameters, nullptr, nullptr);
    const auto described = describe(run.spec, run.parameters, nullptr, nullptr);
    ASSERT_FALSE(prepared.ok());
    ASSERT_FALSE(described.ok());
    EXPECT_EQ(described.status().message(), prepared.status().message());
  }
  TestingRun run({});
  const auto stop_at_once = [](std::string_view, double) { return false; };
  EXPECT_EQ(describe(run.spec, run.parameters, nullptr, stop_at_once).status().kind(),
            StatusKind::interrupted);
}

TEST(ReadShards, GivesSoManyRowsOfEachSetAsAreCounted) {
  for (const double valid_fraction : {0.0, 0.3}) {
    TestingRun run({});
    run.spec.valid_fraction = valid_fraction;
    const RunHeader header = run.description().header;
    std::vector<Shard> shards = make_shards(run.spec, header.parameters.seed, 100);
    std::reverse(shards.begin(), shards.end());
    const auto all = read_shards(run.spec, header, shards, nullptr);
    ASSERT_TRUE(all.ok()) << all.status().message();
    RowCounts sums(1 + header.valid_names.size(), 0);
    for (const Shard& shard : shards) {
      const RowCounts counts = row_counts(shard, header);
      const auto read = read_shards(run.spec, header, std::span(&shard, 1), nullptr);
      ASSERT_TRUE(read.ok()) << read.status().message();
      EXPECT_EQ(counts, row_counts(*read));
      // Those of the shard are where they are in a division of all by these counts.
      const TrainingData slice = slice_data(*all, sums, counts);
      EXPECT_EQ(slice.train.classes, read->train.classes);
      EXPECT_EQ(slice.train.targets, read->train.targets);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += counts[i];
    }
    EXPECT_EQ(sums, row_counts(*all));
  }
}

TEST(ReadShards, NamesTheRowAsPrepareDoes) {
  for (const ObjectiveKind objective : kObjectives) {
    const RunHeader header = TestingRun({.objective = objective}).description().header;
    for (const bool label : {true, false}) {
      TestingShape shape{.objective = objective};
      (label ? shape.bad_label_row : shape.bad_weight_row) = 1003;
      const TestingRun run(shape);
      const auto prepared = prepare(run.spec, run.parameters, nullptr, nullptr);
      ASSERT_FALSE(prepared.ok());
      for (const Shard& shard : make_shards(run.spec, header.parameters.seed, 100)) {
        const auto read = read_shards(run.spec, header, std::span(&shard, 1), nullptr);
        const bool has_row =
            shard.set == 0 && shard.first_row <= 1003 && shard.first_row + shard.row_count > 1003;
        ASSERT_EQ(read.ok(), !has_row);
        if (has_row) {
          EXPECT_EQ(read.status().message(), prepared.status().message());
        }
      }
    }
  }
}

TEST(ReadShards, NamesTheRowOfAClassThatTheRunDoesNotHave) {
  const TestingRun run({.objective = ObjectiveKind::multiclass});
  RunHeader header = run.description().header;
  const auto shards = make_shards(run.spec, header.parameters.seed, 100);
  header.classes[0] = "another";  // as if the data were another now
  const auto read = read_shards(run.spec, header, std::span(shards).subspan(3, 1), nullptr);
  ASSERT_FALSE(read.ok());
  const std::string message = read.status().message();
  const size_t at = message.find("row: ");
  ASSERT_NE(at, std::string::npos) << message;
  const auto row = static_cast<uint64_t>(std::stoi(message.substr(at + 5)));
  EXPECT_GE(row, shards[3].first_row);
  EXPECT_LT(row, shards[3].first_row + shards[3].row_count);
}

TEST(ReadShards, TakesAPartWhoseWeightsAreAllZero) {
  // In the whole of the data some row counts; in a part of it none may.
  std::vector<double> x, y, w;
  for (int row = 0; row < 40; ++row) {
    x.push_back(row);
    y.push_back(row % 2);
    w.push_back(row < 20 ? 0 : 1);
  }
  using table::ColumnKind;
  using table::ColumnValues;
  DataSpec spec;
  spec.data = std::make_shared<table::MemorySource>(
      std::vector<table::ColumnSpec>{{"x", ColumnKind::numeric, "double"},
                                     {"y", ColumnKind::numeric, "double"},
                                     {"w", ColumnKind::numeric, "double"}},
      std::vector<ColumnValues>{ColumnValues::of(x), ColumnValues::of(y), ColumnValues::of(w)}, 40,
      10);
  spec.label = "y";
  spec.weight = "w";
  const auto description = describe(spec, Parameters{}, nullptr, nullptr);
  ASSERT_TRUE(description.ok()) << description.status().message();
  const auto shards = make_shards(spec, 0, 10);
  const auto read = read_shards(spec, description->header, std::span(shards).first(1), nullptr);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->train.weights, std::vector<float>(10, 0.0f));
}

TEST(ReadShards, RefusesWhatIsNoShardOfTheData) {
  const TestingRun run({});
  const RunHeader header = run.description().header;
  const auto shards = make_shards(run.spec, header.parameters.seed, 100);
  const auto message_of = [&](std::vector<Shard> chosen) {
    const auto read = read_shards(run.spec, header, chosen, nullptr);
    EXPECT_FALSE(read.ok());
    return std::string(read.status().message());
  };
  std::vector<void (*)(Shard&)> spoilers = {
      [](Shard& shard) { shard.set = 7; },
      [](Shard& shard) { shard.first_block += 1000; },
      [](Shard& shard) { shard.block_count = ~uint32_t{0}; },
      [](Shard& shard) { shard.block_count += 1; },
      [](Shard& shard) { shard.first_row += 1; },
      [](Shard& shard) { shard.row_count -= 1; },
      [](Shard& shard) { shard.first_training_row = shard.first_row + 1; },
  };
  for (const auto& spoil : spoilers) {
    Shard shard = shards[1];
    spoil(shard);
    EXPECT_NE(message_of({shards[0], shard}).find("not of this data"), std::string::npos);
  }
  EXPECT_NE(message_of({shards[2], shards[0], shards[2]}).find("in two shards"), std::string::npos);
  // The data was written anew, in other blocks.
  const TestingRun other({.block_rows = 49});
  EXPECT_FALSE(read_shards(other.spec, header, shards, nullptr).ok());
  const TestingRun fewer({.has_valid_source = false});
  EXPECT_FALSE(read_shards(fewer.spec, header, std::span(shards).first(1), nullptr).ok());
}

TEST(MakeShards, CoversEverySetInOrderAndCutsNoBlock) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const TestingRun run(shape_of(seed));
    for (const auto& source : run.sources) source->may_ask_manifest = false;
    const uint64_t wanted = seed * 7;
    const auto shards = make_shards(run.spec, seed, wanted);
    EXPECT_EQ(make_shards(run.spec, seed, wanted), shards);
    std::vector<uint64_t> next_row(run.sources.size());
    std::vector<uint32_t> next_block(run.sources.size());
    for (size_t i = 0; i < shards.size(); ++i) {
      const Shard& shard = shards[i];
      EXPECT_EQ(shard.id, i);
      EXPECT_GE(shard.set, i == 0 ? 0 : shards[i - 1].set);
      EXPECT_EQ(shard.first_row, next_row[shard.set]);
      EXPECT_EQ(shard.first_block, next_block[shard.set]);
      next_row[shard.set] += shard.row_count;
      next_block[shard.set] += shard.block_count;
      const uint64_t block_rows = run.sources[shard.set]->blocks()[0].row_count;
      EXPECT_LE(shard.row_count, std::max(wanted, block_rows) + block_rows);
      if (shard.first_row + shard.row_count < run.sources[shard.set]->row_count()) {
        EXPECT_GE(shard.row_count + block_rows, wanted);
      }
    }
    for (size_t set = 0; set < run.sources.size(); ++set) {
      EXPECT_EQ(next_row[set], run.sources[set]->row_count());
      EXPECT_EQ(next_block[set], run.sources[set]->blocks().size());
    }
  }
}

TEST(Shard, ComesBackFromItsBytesAndNoOtherBytesDoHarm) {
  const Shard shard{.id = 1,
                    .set = 2,
                    .first_block = 3,
                    .block_count = 4,
                    .first_row = 5'000'000'000,
                    .row_count = 6,
                    .first_training_row = 4'900'000'000};
  ByteWriter out;
  shard.encode(out);
  const std::string bytes = out.take();
  ByteReader in(bytes);
  const auto read = Shard::decode(in);
  ASSERT_TRUE(read.ok() && in.at_end());
  EXPECT_EQ(*read, shard);
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader cut(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(Shard::decode(cut).ok());
  }
  std::vector<void (*)(Shard&)> spoilers = {
      [](Shard& s) { s.block_count = 0; },
      [](Shard& s) { s.block_count = ~uint32_t{0}; },
      [](Shard& s) { s.row_count = 0; },
      [](Shard& s) { s.row_count = ~uint64_t{0}; },
      [](Shard& s) { s.first_row = ~uint64_t{0}; },
      [](Shard& s) { s.first_training_row = s.first_row + 1; },
  };
  for (const auto& spoil : spoilers) {
    Shard spoilt = shard;
    spoil(spoilt);
    ByteWriter spoilt_out;
    spoilt.encode(spoilt_out);
    ByteReader spoilt_in(spoilt_out.bytes());
    EXPECT_FALSE(Shard::decode(spoilt_in).ok());
  }
}

}  // namespace
}  // namespace evergrove::train
